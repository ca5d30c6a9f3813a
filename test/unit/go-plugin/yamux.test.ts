import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodeHeader,
  FLAG,
  FRAME,
  type FrameHeader,
  newFrameReader,
} from '../../../plugins/go-plugin/broker/yamux-frame.ts'
import { newYamuxSession, type StreamMuxer } from '../../../plugins/go-plugin/broker/yamux-session.ts'
import { newPlace } from './in-process.ts'

async function socketPair(): Promise<readonly [Socket, Socket]> {
  const path = join(newPlace().folder, 's')
  const server = createServer({ allowHalfOpen: true })
  await once(server.listen(path), 'listening')
  const client = createConnection({ path })
  const [accepted] = (await once(server, 'connection')) as [Socket]
  server.close()
  return [client, accepted]
}

/** Reads to the end; the stream's own iterator would destroy it there, and with it the other direction. */
function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('error', reject)
  })
}

interface Pair {
  readonly client: StreamMuxer
  readonly server: StreamMuxer
  readonly atServer: Duplex[]
  readonly atClient: Duplex[]
}

async function sessionPair(): Promise<Pair> {
  const [a, b] = await socketPair()
  const atServer: Duplex[] = []
  const atClient: Duplex[] = []
  const client = newYamuxSession(a, 'client', (stream) => atClient.push(stream))
  const server = newYamuxSession(b, 'server', (stream) => atServer.push(stream))
  return { client, server, atServer, atClient }
}

async function arrived(streams: readonly Duplex[], count = 1): Promise<void> {
  while (streams.length < count) await new Promise((resolve) => setImmediate(resolve))
}

/** A session against bytes we choose; everything the session says is collected. */
async function rawPeer(): Promise<{ peer: Socket; session: StreamMuxer; streams: Duplex[]; said: () => Buffer }> {
  const [peer, own] = await socketPair()
  const streams: Duplex[] = []
  const chunks: Buffer[] = []
  peer.on('data', (chunk: Buffer) => chunks.push(chunk))
  peer.on('error', () => undefined)
  const session = newYamuxSession(own, 'server', (stream) => streams.push(stream))
  return { peer, session, streams, said: () => Buffer.concat(chunks) }
}

function frame(type: number, flags: number, streamId: number, length: number): Buffer {
  return encodeHeader({ type, flags, streamId, length })
}

describe('newFrameReader', () => {
  it('finds the same frames however the bytes are chopped', () => {
    const frames = fc.array(
      fc.record({ type: fc.nat(3), flags: fc.nat(15), streamId: fc.nat(), data: fc.uint8Array({ maxLength: 40 }) }),
      { maxLength: 20 },
    )
    fc.assert(
      fc.property(frames, fc.array(fc.nat(50)), (given, cuts) => {
        const headers: FrameHeader[] = []
        const data: Buffer[] = []
        const read = newFrameReader({
          header: (header) => headers.push(header),
          data: (_id, piece) => data.push(piece),
        })
        const sent = given.map(({ type, flags, streamId, data: body }) => ({
          header: { type, flags, streamId, length: body.length },
          body: type === FRAME.data ? Buffer.from(body) : Buffer.alloc(0),
        }))
        let bytes = Buffer.concat(sent.flatMap(({ header, body }) => [encodeHeader(header), body]))
        for (const cut of cuts) {
          read(bytes.subarray(0, cut))
          bytes = bytes.subarray(cut)
        }
        read(bytes)
        expect(headers).toEqual(sent.map(({ header }) => header))
        expect(Buffer.concat(data)).toEqual(Buffer.concat(sent.map(({ body }) => body)))
      }),
    )
  })

  it.each([
    ['0100000000000000', 'yamux version is 1, expected 0'],
    ['0004000000000000', 'yamux frame type is 4, expected 0 to 3'],
  ])('refuses %s', (hex, message) => {
    const read = newFrameReader({ header: () => undefined, data: () => undefined })
    expect(() => read(Buffer.from(`${hex}00000000`, 'hex'))).toThrow(new Error(message))
  })
})

describe('newYamuxSession', () => {
  it('carries many streams in both directions at once, each whole and in order', async () => {
    const { client, server, atServer, atClient } = await sessionPair()
    const bodies = Array.from({ length: 20 }, (_, index) => Buffer.alloc(700_000 + index, index))
    const opened = bodies.map((_body, index) => (index % 2 === 0 ? client : server).open())
    await Promise.all([arrived(atServer, 10), arrived(atClient, 10)])
    for (const stream of [...atServer, ...atClient]) stream.pipe(stream)
    const echoes = opened.map((stream, index) => {
      stream.end(bodies[index])
      return readAll(stream)
    })
    for (const [index, echo] of (await Promise.all(echoes)).entries())
      expect(echo.equals(bodies[index] ?? Buffer.alloc(0))).toBe(true)
    client.close()
  })

  it('stops a sender whom nobody reads, and lets the other streams go on', async () => {
    const { client, atServer } = await sessionPair()
    const stuck = client.open()
    let flushed = false
    stuck.write(Buffer.alloc(600 * 1024), () => {
      flushed = true
    })
    const lively = client.open()
    lively.end('hello')
    await arrived(atServer, 2)
    expect((await readAll(atServer[1] as Duplex)).toString()).toBe('hello')
    expect(flushed).toBe(false)
    atServer[0]?.resume()
    await once(stuck, 'drain')
    expect(flushed).toBe(true)
    client.close()
  })

  it('keeps one direction open when the other has ended', async () => {
    const { client, atServer } = await sessionPair()
    const stream = client.open()
    stream.end('question')
    await arrived(atServer)
    const [other] = atServer as [Duplex]
    expect((await readAll(other)).toString()).toBe('question')
    other.end('answer')
    expect((await readAll(stream)).toString()).toBe('answer')
    client.close()
  })

  it('tells the other side when a stream is dropped', async () => {
    const { client, atServer } = await sessionPair()
    const stream = client.open()
    stream.write('x')
    await arrived(atServer)
    const [other] = atServer as [Duplex]
    stream.destroy()
    const [error] = (await once(other, 'error').catch((reason: unknown) => [reason])) as [Error]
    expect(error.message).toBe('yamux stream 1: reset by the peer')
    client.close()
  })

  it('ends every stream when the connection does, and opens no more', async () => {
    const { client, server, atServer } = await sessionPair()
    const stream = client.open()
    stream.write('x')
    await arrived(atServer)
    const ends = [stream, atServer[0] as Duplex]
    const closed = ends.map((end) => new Promise((resolve) => end.once('close', resolve)))
    server.close()
    await Promise.all(closed)
    expect([client.isClosed(), server.isClosed()]).toEqual([true, true])
    expect(() => client.open()).toThrow(new Error('yamux session has ended'))
  })

  it('answers pings with their number', async () => {
    const { peer, said, session } = await rawPeer()
    peer.write(frame(FRAME.ping, FLAG.syn, 0, 0xabcdef))
    await once(peer, 'data')
    expect(said()).toEqual(frame(FRAME.ping, FLAG.ack, 0, 0xabcdef))
    session.close()
  })

  it('accepts a stream as hashicorp does: ACK to SYN, and FIN with the last data', async () => {
    const { peer, said, session, streams } = await rawPeer()
    peer.write(frame(FRAME.windowUpdate, FLAG.syn, 1, 0))
    peer.write(Buffer.concat([frame(FRAME.data, FLAG.fin, 1, 5), Buffer.from('hello')]))
    await arrived(streams)
    expect((await readAll(streams[0] as Duplex)).toString()).toBe('hello')
    while (said().length < 12) await once(peer, 'data')
    expect(said().subarray(0, 12)).toEqual(frame(FRAME.windowUpdate, FLAG.ack, 1, 0))
    session.close()
  })

  it('takes no more streams to a peer that says it leaves', async () => {
    const { peer, session } = await rawPeer()
    peer.write(frame(FRAME.goAway, 0, 0, 0))
    peer.write(frame(FRAME.ping, FLAG.syn, 0, 1))
    await once(peer, 'data')
    expect(() => session.open()).toThrow(new Error('yamux: the other side takes no more streams'))
    session.close()
  })

  it.each([
    ['a stream number of ours', frame(FRAME.windowUpdate, FLAG.syn, 2, 0)],
    ['the number of the session', frame(FRAME.windowUpdate, FLAG.syn, 0, 0)],
    ['a number twice', Buffer.concat([1, 1].map((id) => frame(FRAME.windowUpdate, FLAG.syn, id, 0)))],
    [
      'more data than the window',
      Buffer.concat([frame(FRAME.windowUpdate, FLAG.syn, 1, 0), frame(FRAME.data, 0, 1, 262_145)]),
    ],
    ['another version', Buffer.alloc(12, 1)],
    ['an error', frame(FRAME.goAway, 0, 0, 1)],
  ])('says it is a protocol error and ends when the peer sends %s', async (_title, bytes) => {
    const { peer, said, session } = await rawPeer()
    peer.write(bytes)
    await once(peer, 'end')
    expect(said().subarray(-12)).toEqual(frame(FRAME.goAway, 0, 0, 1))
    expect(session.isClosed()).toBe(true)
    peer.destroy()
  })

  it('drops what comes for streams that are gone', async () => {
    const { peer, said, session } = await rawPeer()
    peer.write(
      Buffer.concat([frame(FRAME.data, 0, 77, 3), Buffer.from('abc'), frame(FRAME.windowUpdate, FLAG.rst, 79, 5)]),
    )
    peer.write(frame(FRAME.ping, FLAG.syn, 0, 1))
    await once(peer, 'data')
    expect(said()).toEqual(frame(FRAME.ping, FLAG.ack, 0, 1))
    session.close()
  })

  it('survives any bytes: it ends, or waits for more, and throws nothing', { timeout: 30_000 }, async () => {
    const word = fc.oneof(
      fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.nat(3), fc.nat(15), fc.nat(5), fc.oneof(fc.nat(20), fc.nat(300_000)))
        .map(([type, flags, id, length]) => frame(type, flags, id, length)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 12 }), async (words) => {
        const { peer, session } = await rawPeer()
        peer.end(Buffer.concat(words))
        await once(peer, 'close')
        expect(session.isClosed()).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})
