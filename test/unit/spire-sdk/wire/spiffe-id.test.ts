import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agentSpiffeId, parseSpiffeId, parseTrustDomain, RpcError } from '../../../../plugins/spire-sdk/index.ts'

const SEGMENT = /^[A-Za-z0-9._-]+$/

function thrown(run: () => unknown): { status: string; message: string } | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof RpcError) return { status: error.status, message: error.message }
    throw error
  }
  return undefined
}

describe('agentSpiffeId', () => {
  it('builds the ID SPIRE expects of an agent', () => {
    expect(agentSpiffeId('example.org', 'keylime', 'd432fbb3-d2f1-4a97-9ef7-75bd81c00001')).toBe(
      'spiffe://example.org/spire/agent/keylime/d432fbb3-d2f1-4a97-9ef7-75bd81c00001',
    )
  })

  it('takes further segments', () => {
    expect(agentSpiffeId('example.org', 'k8s', 'cluster', 'uid')).toBe(
      'spiffe://example.org/spire/agent/k8s/cluster/uid',
    )
  })

  it('admits exactly the characters SPIFFE allows, of all 256 bytes', () => {
    for (let byte = 0; byte < 256; byte++) {
      const character = String.fromCharCode(byte)
      const expected = SEGMENT.test(character) && character !== '.'
      expect(thrown(() => agentSpiffeId('example.org', 'keylime', character)) === undefined, `byte ${byte}`).toBe(
        expected,
      )
    }
  })

  it.each(['', '.', '..', 'a/b', 'a\uFFFDb', 'a%2Fb', 'a\nb', 'ä'])(
    'refuses %j as an agent ID, and shows it escaped',
    (id) => {
      expect(thrown(() => agentSpiffeId('example.org', 'keylime', id))).toEqual({
        status: 'INVALID_ARGUMENT',
        message: `agent ID ${JSON.stringify(id)} is not valid: expected one or more of A-Z, a-z, 0-9, ".", "-", "_", but not "." or ".."`,
      })
    },
  )

  it('refuses an ID that no SPIRE database holds', () => {
    expect(thrown(() => agentSpiffeId('example.org', 'keylime', 'a'.repeat(240)))).toEqual({
      status: 'INVALID_ARGUMENT',
      message: 'SPIFFE ID has 281 bytes, at most 255 are allowed',
    })
  })

  it('builds an ID of exactly 255 bytes', () => {
    expect(agentSpiffeId('example.org', 'keylime', 'a'.repeat(214))).toHaveLength(255)
  })

  it('never puts a foreign character into an ID, whatever the caller says', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (domain, plugin, id) => {
        let built = 'spiffe://refused/spire/agent/a/b'
        const failure = thrown(() => {
          built = agentSpiffeId(domain, plugin, id)
        })
        expect(built).toMatch(/^spiffe:\/\/[a-z0-9._-]+(\/[A-Za-z0-9._-]+){4}$/)
        expect(['INVALID_ARGUMENT', undefined]).toContain(failure?.status)
      }),
    )
  })
})

describe('parseTrustDomain', () => {
  it.each(['example.org', 'a', 'a_b-c.1', 'x'.repeat(255)])('accepts %s', (text) => {
    expect(parseTrustDomain(text)).toBe(text)
  })

  it.each(['', 'Example.org', 'spiffe://example.org', 'a b', 'a\uFFFD', 'a/b', 'a:1'])('refuses %j', (text) => {
    expect(thrown(() => parseTrustDomain(text))).toEqual({
      status: 'INVALID_ARGUMENT',
      message: `trust domain ${JSON.stringify(text)} is not valid: expected 1 to 255 of a-z, 0-9, ".", "-", "_"`,
    })
  })

  it('shows 80 characters whole', () => {
    expect(thrown(() => parseTrustDomain('X'.repeat(80)))?.message).toContain(`trust domain "${'X'.repeat(80)}" is`)
  })

  it('shows a long name cut', () => {
    expect(thrown(() => parseTrustDomain('x'.repeat(256)))?.message).toBe(
      `trust domain "${'x'.repeat(80)}..." is not valid: expected 1 to 255 of a-z, 0-9, ".", "-", "_"`,
    )
  })
})

describe('parseSpiffeId', () => {
  it.each([
    ['spiffe://example.org', { trustDomain: 'example.org', path: '' }],
    ['spiffe://example.org/spire/agent/x', { trustDomain: 'example.org', path: '/spire/agent/x' }],
  ])('takes %s apart', (text, parts) => {
    expect(parseSpiffeId(text)).toEqual(parts)
  })

  it.each([
    '',
    'https://example.org',
    'SPIFFE://example.org',
    'spiffe://',
    'spiffe://example.org/',
    'spiffe://e/a//b',
    'spiffe://e/a/..',
    'spiffe://e/a?b',
  ])('refuses %j', (text) => {
    expect(thrown(() => parseSpiffeId(text))?.status).toBe('INVALID_ARGUMENT')
  })

  it('takes 2048 bytes', () => {
    expect(parseSpiffeId(`spiffe://e/${'a'.repeat(2037)}`).path).toHaveLength(2038)
  })

  it('refuses more than 2048 bytes', () => {
    expect(thrown(() => parseSpiffeId(`spiffe://e/${'a'.repeat(2048)}`))).toEqual({
      status: 'INVALID_ARGUMENT',
      message: 'SPIFFE ID is longer than 2048 bytes',
    })
  })

  it('accepts every ID that agentSpiffeId builds', () => {
    const segment = fc.stringMatching(SEGMENT).filter((text) => text !== '.' && text !== '..' && text.length < 60)
    fc.assert(
      fc.property(segment, segment, (plugin, id) => {
        expect(parseSpiffeId(agentSpiffeId('example.org', plugin, id)).path).toBe(`/spire/agent/${plugin}/${id}`)
      }),
    )
  })
})
