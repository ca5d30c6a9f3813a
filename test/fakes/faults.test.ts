import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeServer, startFakeServer } from './fake-server.ts'
import { answerWith, editResults, type Fault, nginxError } from './faults.ts'
import { type HttpAnswer, httpsGet } from './https-get.ts'

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'answered',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )

const small = () => ({ status: 200, contentType: 'application/json', body: '{"results": {"a": 1}}' })

describe('faults', () => {
  let server: FakeServer
  beforeAll(async () => {
    server = await startFakeServer({}, () => ({ endpoint: 'any', serviceMs: 5, answer: small }))
  })
  afterAll(() => server.close())

  it.each<[Fault, HttpAnswer['status'], RegExp]>([
    [nginxError(502), 502, /<center>nginx/],
    [answerWith(500), 500, /^$/],
    [answerWith(200, 'not json', 'application/json'), 200, /^not json$/],
    [editResults((results) => ({ ...results, a: 2 })), 200, /^\{"results":\{"a":2\}\}$/],
    [{ kind: 'pad', bytes: 1000 }, 200, /^.{21} {1000}$/],
  ])('answers with %o', async (fault, status, body) => {
    server.fail('any', fault, 1)
    const wrong = await httpsGet(`${server.url}/x`)
    expect(wrong.status).toBe(status)
    expect(wrong.body).toMatch(body)
    expect(await httpsGet(`${server.url}/x`)).toMatchObject({ status: 200, body: '{"results": {"a": 1}}' })
  })

  it.each(['reset', 'close', 'truncate'] as const)('breaks the connection: %s', async (kind) => {
    server.fail('*', { kind }, 1)
    expect(await code(httpsGet(`${server.url}/x`))).toMatch(/ECONNRESET|ERR_STREAM|aborted/)
  })

  it.each(['hang', 'stall'] as const)('never ends its answer: %s', async (kind) => {
    server.fail('any', { kind })
    const signal = AbortSignal.timeout(100)
    expect(await code(httpsGet(`${server.url}/x`, { signal }))).toMatch(/ABORT|aborted/)
    server.clearFaults()
  })

  it('stops listening and comes back on its port', async () => {
    await server.pause()
    expect(await code(httpsGet(`${server.url}/x`))).toBe('ECONNREFUSED')
    await server.resume()
    expect(await httpsGet(`${server.url}/x`)).toMatchObject({ status: 200 })
  })

  it('works on one request at a time when paced', async () => {
    const paced = await startFakeServer({ paced: true }, ({ path: place }) => ({
      endpoint: place,
      serviceMs: place === '/slow' ? 100 : 0,
      answer: small,
    }))
    const ended: string[] = []
    const get = (place: string) => httpsGet(paced.url + place).then(() => ended.push(place))
    const slow = get('/slow')
    await expect.poll(() => paced.stats.requests['/slow']).toBe(1)
    await Promise.all([slow, get('/fast')])
    expect(ended).toEqual(['/slow', '/fast'])
    expect(paced.stats).toMatchObject({ requests: { '/slow': 1, '/fast': 1 }, connections: 2, inFlightMax: 2 })
    paced.resetStats()
    expect(paced.stats).toMatchObject({ requests: {}, connections: 0 })
    await paced.close()
  })
})
