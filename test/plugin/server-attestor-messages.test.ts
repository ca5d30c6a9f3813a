import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { answerWith, type Fault } from '../fakes/faults.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
})
beforeEach(() => {
  for (const server of [keylime.verifier, keylime.registrar]) {
    server.clearFaults()
    server.resetStats()
  }
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const payload = (fields: object): Buffer => Buffer.from(JSON.stringify(fields))

describe('a malformed message', () => {
  it.each<[string, Buffer, RegExp]>([
    ['empty', Buffer.alloc(0), /payload/],
    ['not JSON', Buffer.from('{'), /JSON/],
    ['not UTF-8', Buffer.from([0xff, 0xfe]), /JSON|UTF-8/],
    ['an array', Buffer.from('[]'), /object/],
    ['null', Buffer.from('null'), /object/],
    ['without an agent ID', payload({ HashAlg: base64('sha256') }), /AgentID/],
    ['without a hash algorithm', payload({ AgentID: base64('a') }), /HashAlg/],
    ['with a number as agent ID', payload({ AgentID: 7, HashAlg: base64('sha256') }), /AgentID/],
    ['with wrong base64', payload({ AgentID: '%%%', HashAlg: base64('sha256') }), /base64/],
    ['with unpadded base64', payload({ AgentID: 'YQ', HashAlg: base64('sha256') }), /base64/],
    ['with ../ in the agent ID', payload({ AgentID: base64('../agents'), HashAlg: base64('sha256') }), /agent id/],
    ['with ? in the agent ID', payload({ AgentID: base64('a?agents=b'), HashAlg: base64('sha256') }), /agent id/],
    ['with an empty agent ID', payload({ AgentID: '', HashAlg: base64('sha256') }), /agent id|AgentID/],
    [
      'with an agent ID of 81 characters',
      payload({ AgentID: base64('a'.repeat(81)), HashAlg: base64('sha256') }),
      /agent id/,
    ],
    ['with an unknown hash', payload({ AgentID: base64('a'), HashAlg: base64('md5') }), /hash|HashAlg/],
    ['of 64 KiB and one byte', Buffer.alloc(65_537, ' '), /65536|64 KiB|large|long/],
    ['of 3 MiB', Buffer.alloc(3 * 1024 * 1024, ' '), /65536|64 KiB|large|long/],
  ])('as payload is refused and hurts nobody else: %s', async (_name, bytes, message) => {
    const outcome = await plugin.attest(keylime.node(), { payload: bytes })
    expect(outcome).toEqual({ status: 'INVALID_ARGUMENT', message: matching(message) })
  })

  it.each<[string, Buffer, RegExp]>([
    ['not JSON', Buffer.from('nope'), /JSON/],
    ['without a quote', payload({}), /TPMQuote/],
    ['with wrong base64', payload({ TPMQuote: '*' }), /base64/],
    ['with an empty quote', payload({ TPMQuote: '' }), /quote/i],
    ['with one part', payload({ TPMQuote: base64('rAAAA') }), /quote/],
    ['with a fourth part', payload({ TPMQuote: base64('rAAAA:AAAA:AAAA:AAAA') }), /quote/],
    ['with cut structures', payload({ TPMQuote: base64('rQUJD:QUJD:QUJD') }), /quote/],
    ['of 64 KiB and one byte', Buffer.alloc(65_537, ' '), /65536|64 KiB|large|long/],
  ])('as challenge response is refused and hurts nobody else: %s', async (_name, bytes, message) => {
    const outcome = await plugin.attest(keylime.node(), { answer: () => bytes })
    expect(outcome).toEqual({ status: 'INVALID_ARGUMENT', message: matching(message) })
    expect(keylime.verifier.seen).toEqual([])
  })
})

describe('what the plugin writes', () => {
  it('never holds a nonce, a quote, a key or a key share: neither its log nor its refusals', async () => {
    const secrets = new Set<string>(['SECRET-SHARE'])
    const said: string[] = []
    const faults: (Fault | undefined)[] = [undefined, answerWith(500), { kind: 'reset' }, answerWith(200, 'nonsense')]
    for (const fault of faults) {
      for (const knobs of [{}, { pcrDigest: Buffer.alloc(32) }, { type: 1 }]) {
        const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
        const node = newFakeNode(tpm.ekUuid, tpm)
        keylime.enrol(node, { v: 'SECRET-SHARE' })
        if (fault !== undefined) keylime.verifier.fail('*', fault)
        const outcome = await plugin.attest(node, {
          answer: (challenge) => {
            const { Nonce } = JSON.parse(Buffer.from(challenge).toString()) as Record<string, string>
            const answer = node.respond(challenge, knobs)
            const { TPMQuote, PubKey } = JSON.parse(answer.toString()) as Record<string, string>
            for (const text of [Nonce, TPMQuote, PubKey]) secrets.add(Buffer.from(text ?? '', 'base64').toString())
            secrets.add(tpm.akTpm.toString('base64')).add(tpm.ekTpm.toString('base64'))
            return answer
          },
        })
        keylime.verifier.clearFaults()
        said.push(outcome.message)
      }
    }
    await expect.poll(() => plugin.logs().length, { timeout: 10_000 }).toBeGreaterThan(said.length)
    const written = [...plugin.logs().map(({ raw }) => raw), ...said].join('\n')
    const pieces = [...secrets].flatMap((text) => [text, encodeURIComponent(text), base64(text)])
    expect(secrets.size).toBeGreaterThan(30)
    expect(pieces.filter((piece) => written.includes(piece))).toEqual([])
  })
})

describe('any message at all', () => {
  const harmless = /INVALID_ARGUMENT|PERMISSION_DENIED|FAILED_PRECONDITION/

  it('of whatever bytes is refused with a status of its own', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 400 }), async (first, second) => {
        const asPayload = await plugin.attest(keylime.node(), { payload: first })
        const asAnswer = await plugin.attest(keylime.node(), { answer: () => second })
        expect(asPayload.status).toMatch(harmless)
        expect(asAnswer.status).toMatch(harmless)
      }),
      { numRuns: 100 },
    )
  })

  it('with one bit of the quote changed is refused', async () => {
    const node = keylime.node()
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 2 }), fc.nat(), fc.nat({ max: 7 }), async (part, byte, bit) => {
        const outcome = await plugin.attest(node, {
          answer: (challenge) => {
            const { TPMQuote, PubKey } = JSON.parse(node.respond(challenge).toString()) as Record<string, string>
            const parts = Buffer.from(TPMQuote ?? '', 'base64')
              .toString()
              .slice(1)
              .split(':')
            const bytes = Buffer.from(parts[part] ?? '', 'base64')
            const at = byte % bytes.length
            bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
            parts[part] = bytes.toString('base64')
            return payload({ TPMQuote: base64(`r${parts.join(':')}`), PubKey })
          },
        })
        expect(outcome.status).toMatch(harmless)
      }),
      { numRuns: 200 },
    )
  })
})

describe('after all that', () => {
  it('is the same process, still attests, and has printed nothing but its handshake [T94] [P35]', async () => {
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
    expect(plugin.process.child.exitCode).toBeNull()
    expect(plugin.process.stdoutRest()).toBe('')
  })
})
