import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { failureOf, originFor, startTcp } from '../https-fixture.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
const packed = gzipSync('{"code":200}')
const PACKED = Buffer.concat([
  Buffer.from(`${OK}content-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`),
  packed,
])
const NOT_HTTP = 'answers in something that is not HTTP/1.1: '

describe('HttpsOrigin, towards a service that answers in an odd way', () => {
  it.each<[what: string, answer: string | Buffer, reason: string, text: string]>([
    [
      'headers of 20 KiB',
      `${OK}x: ${'a'.repeat(20_480)}\r\n\r\n`,
      'answer-too-large',
      'more than 16 KiB of HTTP headers',
    ],
    [
      'two lengths',
      `${OK}content-length: 2\r\ncontent-length: 2\r\n\r\n{}`,
      'answer-not-json',
      'or with that header twice',
    ],
    [
      'two that differ',
      `${OK}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
      'answer-not-json',
      'or with that header twice',
    ],
    ['gzip that nobody asked for', PACKED, 'answer-not-json', 'answers in the encoding gzip, which was not asked for'],
    [
      'a broken chunk',
      `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n{}`,
      'answer-not-json',
      `${NOT_HTTP}Invalid character in chunk size`,
    ],
    ['a bad header', `${OK}bad header\r\n\r\n`, 'answer-not-json', `${NOT_HTTP}Invalid header token`],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', 'answer-not-json', `${NOT_HTTP}Expected HTTP/`],
    ['JSON alone', '{"code":200}', 'answer-not-json', `${NOT_HTTP}Expected HTTP/`],
    ['a TLS alert', Buffer.from([0x15, 3, 3, 0, 2, 2, 70]), 'tls-expected', 'does not speak plain HTTP on port'],
  ])('names %s, after one request [http:odd:named]', async (_what, answer, reason, text) => {
    await using server = await startTcp((socket) => socket.once('data', () => socket.write(answer)))
    await using origin = originFor(server.port)
    const failure = await failureOf(origin.request('/version'))
    const code = reason === 'tls-expected' ? 'KEYLIME_PEER_UNTRUSTED' : 'KEYLIME_BAD_RESPONSE'
    expect({ code: failure.code, reason: failure.reason, message: failure.message }).toEqual({
      code,
      reason,
      message: expect.stringContaining(text) as string,
    })
    expect(server.accepted()).toBe(1)
  })
})
