import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { RECORD_TTL_MS } from '../../../server-attestor/reading/registrar-records.ts'
import { type FakeKeylime, startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { newFakeNode } from '../../fakes/fake-node.ts'
import { type FakeRegistrar, startFakeRegistrar } from '../../fakes/fake-registrar.ts'
import { SoftwareTpm } from '../../fakes/software-tpm.ts'
import { holding } from './expecting.ts'
import { startInProcess } from './in-process.ts'

let keylime: FakeKeylime
let second: FakeRegistrar
const [honest, stranger] = [new SoftwareTpm({ ek: 'ec-p256', slot: 51 }), new SoftwareTpm({ ek: 'ec-p256', slot: 52 })]

beforeAll(async () => {
  keylime = await startFakeKeylime()
  const server = await keylime.ca.issue('server')
  const tls = { cert: server.pem, key: server.keyPem(), ca: keylime.ca.pem, clientCertificates: 'optional' } as const
  second = await startFakeRegistrar({ tls })
})
afterAll(async () => {
  await second.close()
  await keylime.close()
})
beforeEach(() => keylime.verifier.enrol('contested', honest.akTpm))

const register = (registrar: FakeRegistrar, { ekTpm, akTpm }: SoftwareTpm): void =>
  registrar.register({
    agent_id: 'contested',
    ek_tpm: ekTpm.toString('base64'),
    aik_tpm: akTpm.toString('base64'),
  })

const both = (): string =>
  keylime
    .serverHcl({ keylime_registrars: [keylime.registrar, second].map(({ host, port }) => `${host}:${port}`) })
    .replace(/^keylime_registrar_(host|port) .*\n/gm, '')

describe('prove', () => {
  it('admits a node whose ID a stranger has registered at the first registrar, and says that they disagree', async () => {
    register(keylime.registrar, stranger)
    register(second, honest)
    await using server = await startInProcess(both())
    const node = newFakeNode('contested', honest)
    for (const _ of [1, 2]) expect(await server.attest(node)).toMatchObject({ status: 'OK' })
    expect(server.logged('Node attested')[0]?.fields).toMatchObject({ registrars_disagree: true })
  })

  it('lets no earlier opinion of the verifier stand for an ID that the first registrar gave to another TPM', async () => {
    for (const registrar of [keylime.registrar, second]) register(registrar, honest)
    await using server = await startInProcess(both())
    const node = newFakeNode('contested', honest)
    expect(await server.attest(node)).toMatchObject({ status: 'OK' })
    register(keylime.registrar, stranger)
    keylime.verifier.enrol('contested', stranger.akTpm)
    const now = performance.now.bind(performance)
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + RECORD_TTL_MS)
    const outcome = await server.attest(node)
    clock.mockRestore()
    expect(outcome).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('[KL-QUOTE-VERIFIER-REJECTED]'),
    })
  })

  it('calls a quote that no registrar’s record proves rejected, and gives no verdict while one cannot be asked', async () => {
    register(keylime.registrar, stranger)
    register(second, stranger)
    await using server = await startInProcess(both())
    const node = newFakeNode('contested', honest)
    expect(await server.attest(node)).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('[KL-QUOTE-REJECTED]'),
    })
    await second.pause()
    expect(await server.attest(node)).toMatchObject({
      status: 'UNAVAILABLE',
      message: holding('[KL-KEYLIME-UNREACHABLE]'),
    })
    await second.resume()
  })
})
