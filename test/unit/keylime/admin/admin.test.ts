import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Enrolment } from '../../../../plugins/keylime/admin/enrolment.ts'
import { RegistrarAdmin } from '../../../../plugins/keylime/admin/registrar-admin.ts'
import { unenrol } from '../../../../plugins/keylime/admin/unenrol.ts'
import { VerifierAdmin } from '../../../../plugins/keylime/admin/verifier-admin.ts'
import { RegistrarClient } from '../../../../plugins/keylime/api/registrar-client.ts'
import { VerifierClient } from '../../../../plugins/keylime/api/verifier-client.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { HttpsOriginOptions } from '../../../../plugins/keylime/https/http.ts'
import { type FakeKeylime, startFakeKeylime } from '../../../fakes/fake-keylime.ts'
import { failureOf, originFor } from '../https-fixture.ts'

let keylime: FakeKeylime
beforeEach(async () => {
  keylime = await startFakeKeylime({ nodes: 2 })
})
afterEach(() => keylime.close())

function atVerifier(options: Partial<HttpsOriginOptions> = {}) {
  const { caFile, certFile, keyFile } = keylime
  const origin = originFor(keylime.verifier.port, { files: { caFile, certFile, keyFile }, ...options })
  const close = (): Promise<void> => origin.close()
  return { admin: new VerifierAdmin(origin), verifier: new VerifierClient(origin), [Symbol.asyncDispose]: close }
}

function atRegistrar() {
  const { caFile, certFile, keyFile } = keylime
  const files = { caFile, certFile, keyFile }
  const origin = originFor(keylime.registrar.port, { role: 'keylime registrar', files })
  const close = (): Promise<void> => origin.close()
  return { admin: new RegistrarAdmin(origin), registrar: new RegistrarClient(origin), [Symbol.asyncDispose]: close }
}

const agentId = () => parseAgentId(keylime.node().agentId)

/** An agent that the verifier does not know, with a certificate. */
async function enrolment(more: Partial<Enrolment> = {}): Promise<Enrolment> {
  keylime.verifier.remove(agentId())
  const { tpm } = keylime.node()
  keylime.registrar.register({
    agent_id: agentId(),
    ek_tpm: tpm.ekTpm.toString('base64'),
    aik_tpm: tpm.akTpm.toString('base64'),
    mtls_cert: '-----BEGIN CERTIFICATE-----',
  })
  await using registrar = atRegistrar()
  return {
    registration: await registrar.admin.getRegistration(agentId()),
    verifier: { host: '10.0.0.1', port: 8881 },
    tpmPolicy: { mask: '0x80', '7': ['ab'] },
    ...more,
  }
}

describe('VerifierAdmin', { timeout: 30_000 }, () => {
  it('enrols an agent with the keys that the registrar has, and the record then tells of it', async () => {
    await using at = atVerifier()
    await at.admin.enrol(agentId(), await enrolment({ contact: { host: '10.0.0.7' } }))
    expect(await at.verifier.getAgent(agentId())).toMatchObject({
      operationalState: 1,
      attestationCount: 0,
      tpmPolicy: '{"7":["ab"],"mask":"0x80"}',
      hasRuntimePolicy: false,
      hasMbRefstate: false,
      acceptTpmHashAlgs: ['sha256', 'sha384', 'sha512'],
      ip: '10.0.0.7',
      port: 9002,
    })
  })

  it('enrols with policies, as text and by name', async () => {
    await using at = atVerifier()
    await at.admin.runtimePolicies.create({ name: 'web', text: '{"a": 1}' })
    const measuredBootPolicy = { text: '{}' }
    await at.admin.enrol(agentId(), await enrolment({ runtimePolicy: { name: 'web' }, measuredBootPolicy }))
    expect(await at.verifier.getAgent(agentId())).toMatchObject({ hasRuntimePolicy: true, hasMbRefstate: true })
  })

  it('says what the verifier says when it does not take an agent', async () => {
    await using at = atVerifier()
    const asked = await enrolment({ registration: { agentId: agentId(), akTpm: Buffer.of(1), ekTpm: Buffer.of(1) } })
    expect(await failureOf(at.admin.enrol(agentId(), asked))).toMatchObject({
      reason: 'answer-status',
      message: `${at.admin.name} answers 400 for agent ${agentId()} ("mTLS certificate for agent is required!")`,
    })
    const named = await enrolment({ runtimePolicy: { name: 'none' } })
    expect(await failureOf(at.admin.enrol(agentId(), named))).toMatchObject({ reason: 'agent-unknown' })
  })

  it('says that an agent is enrolled already', async () => {
    await using at = atVerifier()
    const asked = await enrolment()
    await at.admin.enrol(agentId(), asked)
    expect(await failureOf(at.admin.enrol(agentId(), asked))).toMatchObject({
      code: 'KEYLIME_CONFLICT',
      reason: 'conflict',
      message: `${at.admin.name} answers 409 for agent ${agentId()} ("Agent of uuid ${agentId()} already exists"): it is there already, missing, or in use`,
    })
  })

  it('stops, reactivates and deletes', async () => {
    await using at = atVerifier()
    const stateNow = async () => (await at.verifier.getAgent(agentId())).operationalState
    keylime.verifier.set(agentId(), { operational_state: 9 })
    await at.admin.reactivate(agentId())
    expect(await stateNow()).toBe(1)
    await at.admin.stop(agentId())
    expect(await stateNow()).toBe(10)
    expect(await at.admin.delete(agentId())).toBe('deleted')
    expect(await at.verifier.getAgentIds()).toEqual([keylime.node(1).agentId])
  })

  it('names an agent unknown whatever status the verifier has for it', async () => {
    await using at = atVerifier()
    const nobody = parseAgentId('nobody')
    for (const attempt of [at.admin.stop(nobody), at.admin.reactivate(nobody), at.admin.delete(nobody)]) {
      expect(await failureOf(attempt)).toMatchObject({ code: 'KEYLIME_AGENT_UNKNOWN', reason: 'agent-unknown' })
    }
  })

  it('tells a record that the verifier deletes later from one that is gone', async () => {
    await using at = atVerifier()
    const body = '{"code": 202, "status": "Accepted", "results": {}}'
    const answer = { status: 202, contentType: 'application/json', body }
    keylime.verifier.fail('delete', { kind: 'answer', answer }, 1)
    expect(await at.admin.delete(agentId())).toBe('going')
  })

  it('never sends a change twice, where a read is sent again', async () => {
    await using at = atVerifier()
    await at.verifier.getAgent(agentId())
    keylime.verifier.fail('agent', { kind: 'close' }, 1)
    await at.verifier.getAgent(agentId())
    expect(keylime.verifier.stats.requests['agent']).toBe(3)
    keylime.verifier.fail('stop', { kind: 'close' }, 1)
    expect(await failureOf(at.admin.stop(agentId()))).toMatchObject({ reason: 'reset' })
    expect(keylime.verifier.stats.requests['stop']).toBe(1)
  })
})

describe.each(['runtimePolicies', 'measuredBootPolicies'] as const)('%s', { timeout: 30_000 }, (kind) => {
  it('are created, read, replaced and deleted by name', async () => {
    await using at = atVerifier()
    const policies = at.admin[kind]
    await policies.create({ name: 'web server', text: '{"a": 1}' })
    expect(await policies.get('web server')).toEqual({ name: 'web server', text: '{"a": 1}' })
    await policies.replace({ name: 'web server', text: '{"a": 2}' })
    expect((await policies.get('web server')).text).toBe('{"a": 2}')
    expect(await policies.list()).toEqual(['web server'])
    await policies.delete('web server')
    expect(await policies.list()).toEqual([])
  })

  it('say what is there already and what is missing', async () => {
    await using at = atVerifier()
    const policies = at.admin[kind]
    await policies.create({ name: 'web', text: '{}' })
    expect(await failureOf(policies.create({ name: 'web', text: '{}' }))).toMatchObject({ code: 'KEYLIME_CONFLICT' })
    const missing = await failureOf(policies.get('none'))
    expect(missing.error.facts).toMatchObject({ reason: 'answer-status', http_status: 404 })
  })
})

describe('unenrol', { timeout: 30_000 }, () => {
  it('stops an agent before it deletes it, and is done when the verifier does not know it', async () => {
    await using at = atVerifier()
    const options = { ...at, signal: AbortSignal.timeout(10_000), intervalMs: 1 }
    expect(await unenrol(agentId(), options)).toBe(true)
    expect(await unenrol(agentId(), options)).toBe(false)
    expect(keylime.verifier.seen.filter((line) => line.endsWith('/stop'))).toHaveLength(1)
    expect(keylime.verifier.stats.methods).toMatchObject({ PUT: 1, DELETE: 1 })
  })

  it('gives up when the verifier goes on with the agent', async () => {
    await using at = atVerifier()
    const body = '{"code": 200, "status": "Success", "results": {}}'
    keylime.verifier.fail('stop', { kind: 'answer', answer: { status: 200, contentType: 'application/json', body } })
    const options = { ...at, signal: AbortSignal.timeout(100), intervalMs: 1 }
    await expect(unenrol(agentId(), options)).rejects.toThrow(
      `was told to remove agent ${agentId()} and did not stop polling it in time`,
    )
    expect(keylime.verifier.stats.methods['DELETE']).toBeUndefined()
  })
})

describe('RegistrarAdmin', { timeout: 30_000 }, () => {
  it('deletes a registration', async () => {
    await using at = atRegistrar()
    expect(await at.registrar.getAgentIds()).toHaveLength(2)
    await at.admin.delete(agentId())
    expect(await at.registrar.getAgentIds()).toEqual([keylime.node(1).agentId])
    expect(await failureOf(at.admin.delete(agentId()))).toMatchObject({ code: 'KEYLIME_AGENT_UNKNOWN' })
  })
})

describe('another way to a service', { timeout: 30_000 }, () => {
  it('carries TLS end to end, and is asked for each connection', async () => {
    const dialled: string[] = []
    const dial = async ({ host, port }: { host: string; port: number }): Promise<Socket> => {
      dialled.push(`${host}:${port}`)
      const socket = connect(keylime.verifier.port, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    }
    await using at = atVerifier({ dial, host: 'verifier.far', port: 1, serverName: 'localhost' })
    expect((await at.verifier.getAgent(agentId())).operationalState).toBe(3)
    expect(new Set(dialled)).toEqual(new Set(['verifier.far:1']))
  })

  it('is explained when it does not lead there, by the code of its error', async () => {
    const refused = Object.assign(new Error('the portal says no'), { code: 'ECONNREFUSED' })
    await using at = atVerifier({ dial: () => Promise.reject(refused) })
    expect(await failureOf(at.verifier.getAgent(agentId()))).toMatchObject({ reason: 'refused' })
  })

  it('may take no longer than a connection', async () => {
    let late: Socket | undefined
    const held = Promise.withResolvers<Socket>()
    await using at = atVerifier({ dial: () => held.promise, timeoutMs: 50 })
    expect(await failureOf(at.verifier.getAgent(agentId()))).toMatchObject({ reason: 'timeout' })
    late = connect(keylime.verifier.port, '127.0.0.1')
    held.resolve(late)
    await once(late, 'close')
    expect(late.destroyed).toBe(true)
  })
})
