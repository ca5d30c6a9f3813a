import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RegistrarClient } from '../../../../plugins/keylime/api/registrar-client.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { type FakeKeylime, startFakeKeylime } from '../../../fakes/fake-keylime.ts'
import { editResults } from '../../../fakes/faults.ts'
import { newTestPki } from '../../../fakes/pki.ts'
import { recordedResults } from '../../../fakes/recorded.ts'
import { failureOf, originFor, startHttps } from '../https-fixture.ts'
import { playRecorded } from '../recorded-server.ts'

const real = parseAgentId('1d0cc2c1c1213b7c9391a275e06046eeda3aa3c86f6a3106ebada2f581dc2d47')

describe('RegistrarClient, with the answers of a real registrar', { timeout: 30_000 }, () => {
  it('reads the keys of an agent', async () => {
    using pki = newTestPki()
    const root = await pki.root('Root')
    const leaf = await root.issue('registrar')
    const caFile = pki.write('root.crt', root.pem)
    await using listener = await startHttps(
      { cert: leaf.pem, key: leaf.keyPem() },
      playRecorded(['registrar-version', 'registrar-agent']),
    )
    await using origin = originFor(listener.port, { role: 'keylime registrar', files: { caFile } })
    const wire = recordedResults('registrar-agent')
    expect(await new RegistrarClient(origin).getAgent(real)).toEqual({
      agentId: real,
      akTpm: Buffer.from(String(wire['aik_tpm']), 'base64'),
      ekTpm: Buffer.from(String(wire['ek_tpm']), 'base64'),
      ekCert: Buffer.from(String(wire['ekcert']), 'base64'),
      ip: wire['ip'],
      port: wire['port'],
    })
  })
})

describe('RegistrarClient', { timeout: 30_000 }, () => {
  let keylime: FakeKeylime
  beforeAll(async () => {
    keylime = await startFakeKeylime()
  })
  afterAll(() => keylime.close())
  const agentId = (): ReturnType<typeof parseAgentId> => parseAgentId(keylime.node().agentId)

  function connect(
    files: { caFile: string; certFile?: string; keyFile?: string } = keylime,
    of: FakeKeylime = keylime,
  ): { client: RegistrarClient } & AsyncDisposable {
    const { caFile, certFile, keyFile } = files
    const origin = originFor(of.registrar.port, {
      role: 'keylime registrar',
      files: { caFile, certFile, keyFile },
    })
    return { client: new RegistrarClient(origin), [Symbol.asyncDispose]: () => origin.close() }
  }

  it('leaves out what the registrar has not got', async () => {
    await using registrar = connect()
    keylime.registrar.fail(
      'agent',
      editResults((results) => ({ ...results, ekcert: null, mtls_cert: 'disabled', ip: null, port: null })),
      1,
    )
    expect(Object.keys(await registrar.client.getAgent(agentId()))).toEqual(['agentId', 'akTpm', 'ekTpm'])
  })

  it('says that an agent is not registered', async () => {
    await using registrar = connect()
    const { code, message } = await failureOf(registrar.client.getAgent(parseAgentId('nobody')))
    expect(code).toBe('KEYLIME_AGENT_UNKNOWN')
    expect(message).toBe(
      `${registrar.client.name} does not know agent nobody ("Agent with ID 'nobody' not found"); not registered there, or its database failed`,
    )
  })

  it('refuses the record of another agent, and of one that differs in case only', async () => {
    await using registrar = connect()
    for (const other of ['nobody', agentId().toUpperCase()]) {
      keylime.registrar.fail(
        'agent',
        editResults((results) => ({ ...results, agent_id: other })),
        1,
      )
      const { code, reason, message } = await failureOf(registrar.client.getAgent(agentId()))
      expect({ code, reason }).toEqual({ code: 'KEYLIME_BAD_RESPONSE', reason: 'answer-other-agent' })
      expect(message).toBe(
        `${registrar.client.name} was asked for agent ${agentId()} and answers with the record of ${JSON.stringify(other)}`,
      )
    }
  })

  it.each([
    [{ aik_tpm: undefined, ak_tpm: 'QUJD' }, 'aik_tpm: expected "aik_tpm", found nothing'],
    [{ aik_tpm: '' }, 'aik_tpm: expected base64, found a string that is not'],
    [{ ek_tpm: 'not base64!' }, 'ek_tpm: expected base64, found a string that is not'],
    [{ ek_tpm: null }, 'ek_tpm: expected string, found null'],
    [{ ek_tpm: 'QUJD'.repeat(2_000) }, 'ek_tpm: expected at most 4096 characters, found a string that is not'],
    [{ ekcert: 'QUJD'.repeat(5_000) }, 'ekcert: expected at most 16384 characters, found a string that is not'],
    [{ ip: '1'.repeat(256) }, 'ip: expected at most 255 characters, found a string that is not'],
    [{ agent_id: 7 }, 'agent_id: expected string, found a number'],
  ])('names the field of an unusable record: %#', async (change, text) => {
    await using registrar = connect()
    keylime.registrar.fail(
      'agent',
      editResults((results) => ({ ...results, ...change })),
      1,
    )
    const { code, message } = await failureOf(registrar.client.getAgent(agentId()))
    expect(code).toBe('KEYLIME_BAD_RESPONSE')
    expect(message).toContain(text)
  })

  it('says that it is anonymous when no certificate is configured', async () => {
    await using registrar = connect({ caFile: keylime.caFile })
    const { code, message } = await failureOf(registrar.client.getAgent(agentId()))
    expect(code).toBe('KEYLIME_CLIENT_REFUSED')
    expect(message).toContain('refuses us with 403')
  })

  it.each(['7.10', '7.11'] as const)(
    'says that Keylime %s is too old for its records [claims:keylime:versions]',
    async (release) => {
      await using old = await startFakeKeylime({ release })
      await using registrar = connect(old, old)
      const { code, message } = await failureOf(registrar.client.getAgent(parseAgentId(old.node().agentId)))
      expect(code).toBe('KEYLIME_API_UNSUPPORTED')
      expect(message).toBe(
        `${registrar.client.name} sends the record of agent ${old.node().agentId} without its agent_id, as Keylime before 7.12 does; 7.12 is the oldest that works`,
      )
    },
  )
})
