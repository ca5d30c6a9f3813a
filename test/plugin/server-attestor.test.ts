import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 3, ekCertificates: true })
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

const verdict = (message: string | RegExp) => ({ status: 'PERMISSION_DENIED', message: matching(message) })

describe('keylime-attestor-server', () => {
  it('gives a healthy node its SPIFFE ID, its selectors and the right to attest again [T04]', async () => {
    const node = keylime.node()
    const { attributes } = await plugin.attest(node)
    expect(attributes?.spiffeId).toBe(`spiffe://example.org/spire/agent/keylime/${node.agentId}`)
    expect(attributes?.canReattest).toBe(true)
    expect(attributes?.selectorValues.map((value) => value.replace(/[0-9a-f]{64}/, '<sha256>'))).toEqual([
      'agent_id:<sha256>',
      'ek:sha256:<sha256>',
      'ip:127.0.0.1',
      'hash_alg:sha256',
      'policy:sha256:<sha256>',
      'policy:none',
      'evidence:keylime-agent',
      'mode:pull',
    ])
  })

  it.each([
    ['ec-p256', 'sha256'],
    ['rsa-3072', 'sha384'],
    ['ec-p384', 'sha384'],
  ] as const)('admits a node with an attestation key of kind %s and bank %s', async (ak, hash) => {
    const tpm = new SoftwareTpm({ ek: 'ec-p256', ak, hash, slot: 20 })
    const node = newFakeNode(tpm.ekUuid, tpm)
    keylime.enrol(newFakeNode(node.agentId, tpm))
    keylime.verifier.set(node.agentId, { hash_alg: hash })
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
  })

  it('admits the answer of a Go agent half, which sends no public key', async () => {
    const node = keylime.node()
    const answer = (challenge: Uint8Array): Buffer => {
      const { TPMQuote } = JSON.parse(node.respond(challenge).toString()) as { readonly TPMQuote: string }
      return Buffer.from(JSON.stringify({ TPMQuote }))
    }
    expect(await plugin.attest(node, { answer })).toMatchObject({ status: 'OK' })
  })

  it('asks no Keylime service anything before the node has answered the challenge', async () => {
    const gone = await plugin
      .attest(keylime.node(), { answer: () => Promise.reject(new Error('node gone')) })
      .catch(String)
    expect(gone).toContain('node gone')
    expect(keylime.verifier.seen.concat(keylime.registrar.seen)).toEqual([])
  })
})

describe('a dishonest node', () => {
  it('is refused with a quote signed by the AK of another TPM [T14]', async () => {
    const [node, other] = [keylime.node(0), keylime.node(1)]
    const outcome = await plugin.attest(node, { knobs: { signer: other.tpm } })
    expect(outcome).toEqual(verdict(/signature|signer/))
  })

  it('is refused with a quote signed by another TPM that names this one as signer', async () => {
    const [node, other] = [keylime.node(0), keylime.node(1)]
    const knobs = { signer: other.tpm, qualifiedSigner: node.tpm.akQualifiedName }
    expect(await plugin.attest(node, { knobs })).toEqual(verdict(/signature/))
  })

  it('is refused with a replayed quote [T62]', async () => {
    const node = keylime.node()
    let recorded: Buffer = Buffer.alloc(0)
    const first = await plugin.attest(node, {
      answer: (challenge) => {
        recorded = node.respond(challenge)
        return recorded
      },
    })
    expect(first.status).toBe('OK')
    expect(await plugin.attest(node, { answer: () => recorded })).toEqual(verdict(/nonce/))
  })

  it('is refused with a quote over another nonce', async () => {
    const node = keylime.node()
    const knobs = { extraData: Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567') }
    expect(await plugin.attest(node, { knobs })).toEqual(verdict(/nonce/))
    expect(keylime.verifier.seen).toEqual([])
  })

  it('is refused when its payload names another agent', async () => {
    const [node, other] = [keylime.node(0), keylime.node(1)]
    const outcome = await plugin.attest(node, { payload: other.payload() })
    expect(outcome).toEqual(verdict(/signature|signer/))
    expect(outcome.message).not.toContain(node.agentId)
  })

  it('is refused when its payload names another hash than its quote has', async () => {
    const node = keylime.node()
    const outcome = await plugin.attest(node, { payload: node.payload({ hashAlg: 'sha384' }) })
    expect(outcome).toEqual(verdict(/sha256.*sha384|sha384.*sha256/))
  })

  it('is refused when its AK is not below the registered EK', async () => {
    const ak = new SoftwareTpm({ ek: 'ec-p256', slot: 30 })
    const honest = new SoftwareTpm({ ek: 'ec-p256', slot: 31 })
    keylime.registrar.register({
      agent_id: 'moved',
      ek_tpm: honest.ekTpm.toString('base64'),
      aik_tpm: ak.akTpm.toString('base64'),
    })
    keylime.verifier.enrol('moved', ak.akTpm)
    expect(await plugin.attest(newFakeNode('moved', ak))).toEqual(verdict(/signer|endorsement key/))
  })

  it.each([
    ['other PCRs than 16', { pcrs: [16, 23] }, /pcr/],
    ['no PCR 16', { pcrs: [23] }, /pcr/],
    ['a PCR blob of another selection', { blobPcrs: [23] }, /pcr/],
    ['a digest that is not that of the values', { pcrDigest: Buffer.alloc(32) }, /digest/],
    [
      'a PCR 16 without the public key it sent',
      { pcrValues: new Map([[16, Buffer.alloc(32, 1)]]) },
      /pcr 16|public key/i,
    ],
    ['a bank that is not allowed', { bank: 'sha1', signatureHash: 'sha1' }, /hash|sha1/],
    ['a certify structure instead of a quote', { type: 0x8017 }, /quote|type/],
  ] as const)('is refused with %s', async (_name, knobs, message) => {
    const outcome = await plugin.attest(keylime.node(), { knobs })
    expect(['PERMISSION_DENIED', 'INVALID_ARGUMENT']).toContain(outcome.status)
    expect(outcome.message).toMatch(message)
  })

  it('is refused when its AK may sign anything, not only what the TPM made', async () => {
    const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256', akAttributes: 0x0004_0072 })
    keylime.enrol(newFakeNode('unrestricted', tpm))
    const outcome = await plugin.attest(newFakeNode('unrestricted', tpm))
    expect(outcome).toEqual({
      status: 'INTERNAL',
      message: matching(/^keylime registrar, asked for agent unrestricted: /),
    })
    await expect.poll(() => plugin.logs('error').at(-1)?.raw, { timeout: 10_000 }).toMatch(/AK has attributes 0x/)
  })

  it('gets a distinct refusal when the verifier holds another AK than the registrar', async () => {
    const node = keylime.node(2)
    keylime.verifier.setAk(node.agentId, keylime.node(1).tpm.akTpm)
    const outcome = await plugin.attest(node)
    keylime.verifier.setAk(node.agentId, node.tpm.akTpm)
    expect(outcome).toEqual(verdict(/verifier rejects its identity quote/))
  })

  it('gains nothing from a verifier that calls every quote valid', async () => {
    keylime.verifier.setGullible(true)
    const tpm = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
    keylime.enrol(newFakeNode('gullible', tpm))
    const outcome = await plugin.attest(newFakeNode('gullible', tpm))
    keylime.verifier.setGullible(false)
    expect(outcome).toMatchObject({ status: 'INTERNAL', message: matching('another nonce') })
    await expect.poll(() => plugin.logs('error').at(-1)?.raw, { timeout: 10_000 }).toContain('gullible')
  })
})

describe('Configure', () => {
  it('passes the trust domain through, and refuses a missing or wrong one [T05]', async () => {
    const hcl = keylime.serverHcl()
    for (const wrong of ['', 'Not A Domain', 'spiffe://x/y']) {
      const outcome = await plugin.configure(hcl, wrong)
      expect(outcome).toEqual({ status: 'INVALID_ARGUMENT', message: matching(/trust domain/) })
    }
    expect(await plugin.configure(hcl, 'fleet.example')).toMatchObject({ status: 'OK' })
    const { attributes } = await plugin.attest(keylime.node())
    expect(attributes?.spiffeId).toMatch(/^spiffe:\/\/fleet\.example\/spire\/agent\/keylime\//)
    await plugin.configure(hcl)
  })

  it('refuses an unknown key with a suggestion, and reports every problem at once [T80]', async () => {
    const wrong = keylime.serverHcl({ keylime_verifier_prot: 1, request_timeout: 'soon', enforce: 3 })
    const { status, message } = await plugin.configure(wrong)
    const { valid, notes } = await plugin.validate(wrong)
    expect({ status, valid, count: notes.length }).toEqual({ status: 'INVALID_ARGUMENT', valid: false, count: 3 })
    for (const part of ['did you mean "keylime_verifier_port"', 'request_timeout', 'enforce']) {
      expect(message).toContain(part)
      expect(notes.join('\n')).toContain(part)
    }
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
  })
})

describe('Validate', () => {
  it('says valid without a note, or every problem as a note of its own, and touches nothing [C53]', async () => {
    const other = await startFakeKeylime({ ak: 'ec-p256' })
    expect(await plugin.validate(other.serverHcl())).toMatchObject({ valid: true, notes: [] })
    for (const wrong of ['', 'verifier = 1', 'not { hcl', other.serverHcl({ require_policy: ['everything'] })]) {
      const { valid, notes } = await plugin.validate(wrong)
      expect({ wrong, valid, some: notes.length > 0 }).toEqual({ wrong, valid: false, some: true })
    }
    expect(other.verifier.stats.connections + other.registrar.stats.connections).toBe(0)
    await other.close()
    // The configuration in force is still the one before.
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
  })
})

describe('before Configure', () => {
  it('refuses to attest, after it has read the payload, every time', async () => {
    const fresh = await ServerPlugin.start()
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => fresh.attest(keylime.node())))
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome)))).toEqual(
      new Set([JSON.stringify({ status: 'FAILED_PRECONDITION', message: 'not configured' })]),
    )
    await fresh.stop()
  })
})
