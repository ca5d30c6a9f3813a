import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
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
    expect(await server.attest(node)).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('[KL-QUOTE-VERIFIER-REJECTED]'),
    })
  })

  it('never admits a node on the health of another TPM that its ID has passed to [claims:cache:one-version]', async () => {
    register(keylime.registrar, honest)
    await using server = await startInProcess(keylime.serverHcl())
    const [old, newer] = [newFakeNode('contested', honest), newFakeNode('contested', stranger)]
    for (const _ of [1, 2]) expect(await server.attest(old)).toMatchObject({ status: 'OK' })
    register(keylime.registrar, stranger)
    keylime.verifier.enrol('contested', stranger.akTpm)
    expect(await server.attest(old)).toMatchObject({
      status: 'PERMISSION_DENIED',
      message: holding('[KL-QUOTE-REJECTED]'),
    })
    // The other one is refused for as long as SPIRE may know the first.
    expect(await server.attest(newer)).toMatchObject({ message: holding('[KL-ID-IN-USE]') })
  })

  it('admits nobody on a remembered record alone while the registrar cannot be asked [claims:cache:one-version]', async () => {
    register(keylime.registrar, honest)
    await using server = await startInProcess(keylime.serverHcl())
    const node = newFakeNode('contested', honest)
    expect(await server.attest(node)).toMatchObject({ status: 'OK' })
    await keylime.registrar.pause()
    expect(await server.attest(node)).toMatchObject({
      status: 'UNAVAILABLE',
      message: holding('[KL-KEYLIME-UNREACHABLE]'),
    })
    await keylime.registrar.resume()
    expect(await server.attest(node)).toMatchObject({ status: 'OK' })
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
