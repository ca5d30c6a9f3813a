import { execFile } from 'node:child_process'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RequestSeen } from '../../../../plugins/keylime/https/http.ts'
import { startFakeRegistrar } from '../../../fakes/fake-registrar.ts'
import { newTestPki } from '../../../fakes/pki.ts'
import { answerEmpty, failureOf, originFor, startHttp, startHttps, startTcp } from '../https-fixture.ts'

const run = promisify(execFile)
const pki = newTestPki()
afterAll(() => pki.remove())

let server: { cert: string; key: string; ca: string; requestCert: boolean; rejectUnauthorized: boolean }
let files: { caFile: string; certFile: string; keyFile: string }

beforeAll(async () => {
  const root = await pki.root('Root')
  const leaf = await root.issue('verifier')
  server = { cert: leaf.chainPem, key: leaf.keyPem(), ca: root.pem, requestCert: true, rejectUnauthorized: true }
  files = { caFile: pki.write('root.crt', root.pem), ...pki.writePair('client', await root.issue('spire')) }
})

describe('HttpsOrigin.request', { timeout: 30_000 }, () => {
  it('gives status, media type, date and body, whatever the status', async () => {
    await using listener = await startHttps(server, (_request, response) => {
      response.writeHead(418, {
        'content-type': 'Application/JSON; charset=UTF-8',
        date: 'Mon, 23 Nov 2026 22:22:02 GMT',
        server: 'tornado',
      })
      response.end('{"é": 1}')
    })
    await using origin = originFor(listener.port, { files })
    expect(await origin.request('/x')).toEqual({
      status: 418,
      contentType: 'application/json',
      date: 1_795_472_522,
      body: '{"é": 1}',
      server: 'tornado',
      location: '',
    })
  })

  it.each(['', 'yesterday', '2026-11-23T22:22:02Z', '0', 'Mon, 23 Nov 2026 22:22:02 +0100'])(
    'takes no time from a Date header %j that is not one',
    async (date) => {
      await using listener = await startHttps(server, (_request, response) => {
        response.sendDate = false
        if (date !== '') response.setHeader('date', date)
        response.end('{}')
      })
      await using origin = originFor(listener.port, { files })
      expect(await origin.request('/x')).not.toHaveProperty('date')
    },
  )

  it('never sends an Authorization header, and asks for nothing compressed or from a cache', async () => {
    let seen: Record<string, unknown> = {}
    await using listener = await startHttps(server, (request, response) => {
      seen = request.headers
      answerEmpty(request, response)
    })
    await using origin = originFor(listener.port, { files })
    await origin.request('/x')
    expect(seen).toEqual({
      host: `127.0.0.1:${listener.port}`,
      accept: 'application/json',
      'cache-control': 'no-cache',
      connection: 'keep-alive',
    })
  })

  it('prints no path, which can hold a nonce and a quote, under NODE_DEBUG=undici', async () => {
    await using listener = await startHttp(answerEmpty)
    const module = JSON.stringify(new URL('../../../../plugins/keylime/https/http.ts', import.meta.url).href)
    const target = `role: 'x', host: '127.0.0.1', port: ${listener.port}, timeoutMs: 5000, settings: {}`
    const script = `const { HttpsOrigin } = await import(${module})
      const origin = new HttpsOrigin({ ${target} })
      await origin.request('/quote-in-the-path')
      await origin.close()
      console.log('asked')`
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script], {
      env: { ...process.env, NODE_DEBUG: 'undici' },
    })
    expect(stdout).toContain('asked')
    expect(`${stdout}${stderr}`).not.toContain('quote-in-the-path')
  })

  it('names the configured server in SNI and Host, so that a proxy finds its virtual host [P33]', async () => {
    const seen: unknown[] = []
    const root = await pki.root('Named root')
    const leaf = await root.issue('vhost', { dns: ['verifier.keylime.example'], ip: [] })
    await using listener = await startHttps(
      { cert: leaf.pem, key: leaf.keyPem() },
      (request, response) => {
        seen.push(request.headers.host)
        answerEmpty(request, response)
      },
      (socket) => seen.push((socket as { servername?: string }).servername),
    )
    const caFile = pki.write('named.crt', root.pem)
    await using origin = originFor(listener.port, { files: { caFile }, serverName: 'verifier.keylime.example' })
    await origin.request('/x')
    expect(seen).toEqual(['verifier.keylime.example', `verifier.keylime.example:${listener.port}`])
  })

  it('follows no redirect', async () => {
    await using listener = await startHttps(server, (_request, response) => {
      response.writeHead(302, { location: 'https://elsewhere.example/' })
      response.end()
    })
    await using origin = originFor(listener.port, { files })
    expect(await origin.request('/x')).toMatchObject({ status: 302, location: 'https://elsewhere.example/' })
  })

  it('reads no more of an answer than its bound', async () => {
    let sent = 0
    const flood: RequestListener = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = (): void => {
        sent += 65_536
        if (sent < 50 * 1024 * 1024 && response.write(Buffer.alloc(65_536, 0x20))) setImmediate(more)
        else response.once('drain', more)
      }
      more()
    }
    await using listener = await startHttps(server, flood)
    await using origin = originFor(listener.port, { files })
    const { code, reason, message } = await failureOf(origin.request('/x'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_BAD_RESPONSE', reason: 'answer-too-large' })
    expect(message).toContain('answers with more than 1048576 bytes (HTTP 200)')
    expect(sent).toBeLessThan(20 * 1024 * 1024)
  })

  it('puts an answer of many small and large pieces together as it was sent', async () => {
    const pieces = Array.from({ length: 300 }, (_, index) => `${index},`.repeat(index % 50 === 49 ? 2_000 : 1))
    await using listener = await startHttps(server, (_request, response) => {
      void (async () => {
        for (const piece of pieces) await new Promise((done) => response.write(piece, done))
        response.end()
      })()
    })
    await using origin = originFor(listener.port, { files })
    expect((await origin.request('/x')).body).toBe(pieces.join(''))
  })

  it('takes a larger answer where the caller allows it', async () => {
    await using listener = await startHttps(server, (_request, response) =>
      response.end(Buffer.alloc(3 * 1024 * 1024, 0x20)),
    )
    await using origin = originFor(listener.port, { files })
    expect((await origin.request('/x', { maxBodyBytes: 4 * 1024 * 1024 })).body).toHaveLength(3 * 1024 * 1024)
  })

  it('reaches an IPv6 address', async () => {
    const { createServer } = await import('node:http')
    const listener = createServer(answerEmpty)
    listener.listen(0, '::1')
    await once(listener, 'listening')
    const address = listener.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    await using origin = originFor(port, { host: '::1' })
    expect(origin.name).toBe(`keylime verifier [::1]:${port}`)
    expect((await origin.request('/x')).status).toBe(200)
    listener.close()
  })

  it('tells an observer about each request, answered or not', async () => {
    const seen: RequestSeen[] = []
    await using listener = await startHttps(server, (request, response) =>
      request.url === '/cut' ? request.socket.destroy() : answerEmpty(request, response),
    )
    await using origin = originFor(listener.port, { files, observe: (one) => seen.push(one) })
    await origin.request('/x', { operation: 'get_agent' })
    await failureOf(origin.request('/cut', { operation: 'get_agents' }))
    expect(seen.map(({ operation, status, error }) => [operation, status, error?.code])).toEqual([
      ['get_agent', 200, undefined],
      ['get_agents', undefined, 'KEYLIME_UNREACHABLE'],
    ])
    expect(seen.every(({ durationMs }) => durationMs >= 0)).toBe(true)
  })
})

describe('HttpsOrigin, when the answer does not come', { timeout: 30_000 }, () => {
  it('gives up at its deadline and says that the request was sent', async () => {
    await using listener = await startHttps(server, () => undefined)
    await using origin = originFor(listener.port, { files, timeoutMs: 150 })
    const { code, reason, message } = await failureOf(origin.request('/x'))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_TIMEOUT', reason: 'timeout' })
    expect(message).toBe(
      `keylime verifier 127.0.0.1:${listener.port} did not answer within 150 ms: the request was sent`,
    )
  })

  it('gives up in the handshake of a server that accepts and says nothing', async () => {
    await using listener = await startTcp(() => undefined)
    await using origin = originFor(listener.port, { files, timeoutMs: 150 })
    const { code, message } = await failureOf(origin.request('/x'))
    expect(code).toBe('KEYLIME_TIMEOUT')
    expect(message).toContain('did not answer within 150 ms: TCP was open, the TLS handshake was not done')
  })

  it('gives up in the middle of an answer that stalls', async () => {
    await using listener = await startHttps(server, (_request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"code": 200')
    })
    await using origin = originFor(listener.port, { files, timeoutMs: 150 })
    const { code, message } = await failureOf(origin.request('/x'))
    expect(code).toBe('KEYLIME_TIMEOUT')
    expect(message).toContain('the answer had begun and did not end')
  })

  it('says that the answer was cut in its middle', async () => {
    await using listener = await startHttps(server, (request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"code": 200', () => request.socket.destroy())
    })
    await using origin = originFor(listener.port, { files })
    const { code, message } = await failureOf(origin.request('/x'))
    expect(code).toBe('KEYLIME_UNREACHABLE')
    expect(message).toContain('closed the connection in the middle of its answer')
  })

  it('ends at once when the caller goes away, before and during the request', async () => {
    const caller = new AbortController()
    let cut: Promise<unknown> = Promise.resolve()
    await using listener = await startHttps(server, (request) => {
      cut = once(request.socket, 'close')
      caller.abort()
    })
    await using origin = originFor(listener.port, { files })
    const { code, reason } = await failureOf(origin.request('/x', { signal: caller.signal }))
    expect({ code, reason }).toEqual({ code: 'KEYLIME_CANCELLED', reason: 'cancelled' })
    await cut
    expect((await failureOf(origin.request('/x', { signal: AbortSignal.abort() }))).code).toBe('KEYLIME_CANCELLED')
    expect(origin.counts).toEqual({ active: 0, waiting: 0 })
  })

  it('refuses what does not fit in its queue', async () => {
    await using listener = await startHttps(server, () => undefined)
    await using origin = originFor(listener.port, { files, timeoutMs: 200, maxConnections: 1, maxWaiting: 1 })
    const first = failureOf(origin.request('/1'))
    const second = failureOf(origin.request('/2'))
    const third = await failureOf(origin.request('/3'))
    expect({ code: third.code, reason: third.reason }).toEqual({ code: 'KEYLIME_UNAVAILABLE', reason: 'queue-full' })
    expect(third.message).toContain('is overloaded: 1 requests already wait for it')
    expect([(await first).code, (await second).code]).toEqual(['KEYLIME_TIMEOUT', 'KEYLIME_TIMEOUT'])
    expect(origin.counts).toEqual({ active: 0, waiting: 0 })
  })

  it('lets a queue wait as long as others are answered, each within its own time', async () => {
    let turn = Promise.resolve()
    await using listener = await startHttps(server, (request, response) => {
      turn = turn.then(() => wait(40)).then(() => answerEmpty(request, response))
    })
    await using origin = originFor(listener.port, { files, timeoutMs: 200, maxConnections: 2 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => origin.request('/x')))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
  })

  it('does not let a queue wait for a server that answers nobody', async () => {
    await using listener = await startHttps(server, () => undefined)
    await using origin = originFor(listener.port, { files, timeoutMs: 200, maxConnections: 1 })
    const failures = await Promise.all(Array.from({ length: 50 }, () => failureOf(origin.request('/x'))))
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['KEYLIME_TIMEOUT']))
    expect(failures.at(-1)?.message).toContain('no connection was free, and no other request was answered')
  })

  it('leaves nobody else waiting for a server that hangs', async () => {
    await using hung = await startHttps(server, () => undefined)
    await using quick = await startHttps(server)
    await using slow = originFor(hung.port, { files, timeoutMs: 2_000, maxConnections: 2 })
    await using fast = originFor(quick.port, { files, maxConnections: 2 })
    const caller = new AbortController()
    const stuck = Array.from({ length: 50 }, () => failureOf(slow.request('/x', { signal: caller.signal })))
    const answers = await Promise.all(Array.from({ length: 50 }, () => fast.request('/x')))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    caller.abort()
    expect(new Set((await Promise.all(stuck)).map(({ code }) => code))).toEqual(new Set(['KEYLIME_CANCELLED']))
  })
})

/** A fatal TLS alert 80, as OpenSSL sends it when it has no session ID context. */
const ALERT_INTERNAL_ERROR = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50])
const EXTENSION_PRE_SHARED_KEY = 41

/** Walks a ClientHello: record and handshake headers, version and random, three vectors, then the extensions. */
function offersSession(hello: Buffer): boolean {
  let at = 9 + 34
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at) + 2
  while (at + 4 <= hello.length) {
    if (hello.readUInt16BE(at) === EXTENSION_PRE_SHARED_KEY) return true
    at += 4 + hello.readUInt16BE(at + 2)
  }
  return false
}

describe('HttpsOrigin and its connections', { timeout: 30_000 }, () => {
  it('keeps them open, and no more than its bound', async () => {
    await using listener = await startHttps(server)
    await using origin = originFor(listener.port, { files, maxConnections: 4 })
    await Promise.all(Array.from({ length: 200 }, () => origin.request('/x')))
    expect(listener.accepted()).toBeLessThanOrEqual(4)
  })

  it('takes up its TLS session again on a new connection', async () => {
    const registrar = await startFakeRegistrar({ tls: { ...server, clientCertificates: 'required' } })
    await using origin = originFor(registrar.port, { files })
    await origin.request('/version')
    registrar.dropConnections()
    await origin.request('/version')
    expect(registrar.stats).toMatchObject({ connections: 2, resumedSessions: 1 })
    await registrar.close()
  })

  it('begins a new TLS session with a server that refuses to take one up again, as the Rust agent does', async () => {
    const registrar = await startFakeRegistrar({ tls: { ...server, clientCertificates: 'required' } })
    await using picky = await startTcp((client) => {
      client.once('data', (hello: Buffer) => {
        if (offersSession(hello)) {
          client.end(ALERT_INTERNAL_ERROR)
          return
        }
        const upstream = connect(registrar.port, '127.0.0.1')
        upstream.write(hello)
        client.pipe(upstream).pipe(client)
        for (const socket of [client, upstream]) socket.on('error', () => client.destroy())
      })
    })
    await using origin = originFor(picky.port, { files })
    for (let index = 0; index < 3; index += 1) {
      expect((await origin.request('/version')).status).toBe(200)
      registrar.dropConnections()
    }
    expect(registrar.stats).toMatchObject({ connections: 3, resumedSessions: 0 })
    await registrar.close()
  })

  it('sends a request again when the connection it was kept on turns out closed', async () => {
    let requests = 0
    await using listener = await startHttps(server, (request, response) => {
      requests += 1
      // The second request of each connection meets a server that has just gone.
      const socket = request.socket as { asked?: number } & typeof request.socket
      socket.asked = (socket.asked ?? 0) + 1
      if (socket.asked > 1) socket.destroy()
      else answerEmpty(request, response)
    })
    await using origin = originFor(listener.port, { files, maxConnections: 1 })
    for (let index = 0; index < 5; index += 1) expect((await origin.request('/x')).status).toBe(200)
    expect(requests).toBe(9)
    expect(listener.accepted()).toBe(5)
  })

  it('answers again as soon as the server does', async () => {
    const registrar = await startFakeRegistrar({ tls: { ...server, clientCertificates: 'required' } })
    await using origin = originFor(registrar.port, { files })
    await origin.request('/version')
    await registrar.pause()
    expect((await failureOf(origin.request('/version'))).reason).toBe('refused')
    await registrar.resume()
    expect((await origin.request('/version')).status).toBe(200)
    await registrar.close()
  })

  it('refuses to work once closed', async () => {
    await using listener = await startHttps(server)
    const origin = originFor(listener.port, { files })
    await origin.request('/x')
    await origin.close()
    const { code, message } = await failureOf(origin.request('/x'))
    expect(code).toBe('KEYLIME_CANCELLED')
    expect(message).toContain('its connections are closed, the configuration changed')
  })

  it('speaks plain HTTP where there are no TLS files', async () => {
    await using listener = await startHttp()
    await using origin = originFor(listener.port)
    expect((await origin.request('/x')).status).toBe(200)
  })
})
