import { renameSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { matching } from './matching.ts'
import { keepAttesting, summary } from './outcomes.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 8, tpms: 4, ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
})
beforeEach(async () => {
  for (const server of [keylime.verifier, keylime.registrar]) {
    server.clearFaults()
    server.resetStats()
  }
  await plugin.configure(keylime.serverHcl())
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

describe('certificates that change', () => {
  it('are taken up twenty times under load without one failed attestation [T24] [T81] [P13]', async () => {
    const { pki, ca, verifier, registrar } = keylime
    const files = { cert: pki.folder.concat('/turning.crt'), key: pki.folder.concat('/turning.key') }
    const write = async (name: string): Promise<void> => {
      const issued = await ca.issue(name)
      const next = pki.writePair(`next-${name}`, issued)
      // Two renames, one after the other: for a moment the key does not fit, as with every renewal tool.
      renameSync(next.certFile, files.cert)
      renameSync(next.keyFile, files.key)
    }
    await write('client-0')
    await plugin.configure(keylime.serverHcl({ keylime_tls_cert_file: files.cert, keylime_tls_key_file: files.key }))
    const load = keepAttesting(plugin, keylime.nodes.slice(0, 8))
    for (let round = 1; round <= 20; round += 1) {
      const server = await ca.issue('server')
      verifier.setCertificate({ cert: server.pem, key: server.keyPem() })
      registrar.setCertificate({ cert: server.pem, key: server.keyPem() })
      await write(`client-${round}`)
      await expect.poll(() => verifier.stats.clients[`client-${round}`] ?? 0, { timeout: 15_000 }).toBeGreaterThan(3)
    }
    const before = load.done()
    await expect.poll(() => load.done(), { timeout: 10_000 }).toBeGreaterThan(before + 20)
    const outcomes = await load.stop()
    expect(summary(outcomes)).toEqual({ OK: outcomes.length })
  }, 300_000)

  it('of a whole new CA of the same name are taken up in three steps without one failed attestation [P11] [T24]', async () => {
    const { pki, ca, verifier, registrar } = keylime
    const renewed = await pki.root('Keylime Certificate Authority')
    const write = (name: string, text: string): string => pki.write(`moving/${name}`, text)
    const client = async (name: string, issuer: typeof ca): Promise<void> => {
      const issued = await issuer.issue(name)
      write('client.key', issued.keyPem())
      write('client.crt', issued.chainPem)
      await expect.poll(() => verifier.stats.clients[name] ?? 0, { timeout: 15_000 }).toBeGreaterThan(3)
    }
    const caFile = write('ca.crt', ca.pem)
    const first = pki.writePair('moving/client', await ca.issue('moving'))
    const files = { keylime_tls_cert_file: first.certFile, keylime_tls_key_file: first.keyFile }
    await plugin.configure(keylime.serverHcl({ ...files, keylime_tls_ca_cert_file: caFile }))
    const load = keepAttesting(plugin, keylime.nodes.slice(0, 4))
    // Both are trusted before either side shows anything of the new one.
    write('ca.crt', renewed.pem + ca.pem)
    await client('trusts-both', ca)
    const server = await renewed.issue('server')
    for (const service of [verifier, registrar]) {
      service.setCertificate({ cert: server.pem, key: server.keyPem(), ca: ca.pem + renewed.pem })
    }
    await client('of-the-new', renewed)
    write('ca.crt', renewed.pem)
    await client('trusts-the-new', renewed)
    const outcomes = await load.stop()
    expect(summary(outcomes)).toEqual({ OK: outcomes.length })
    const old = await ca.issue('server')
    for (const service of [verifier, registrar]) service.setCertificate({ cert: old.pem, key: old.keyPem() })
  }, 90_000)

  it('that are not valid yet let the plugin start, and attest as soon as they are [tls:clock:heals]', async () => {
    const { pki, ca, verifier, registrar } = keylime
    // Ahead of this machine's clock, as every certificate is of the clock of a board that has just been switched on.
    const validity = { notBefore: new Date(Date.now() + 6_000), notAfter: new Date(Date.now() + 86_400_000) }
    const young = await pki.root('Young CA', { validity })
    const pair = pki.writePair('young', await young.issue('young', { validity }))
    const server = await young.issue('server', { validity })
    for (const service of [verifier, registrar]) {
      service.setCertificate({ cert: server.pem, key: server.keyPem(), ca: ca.pem + young.pem })
      service.dropConnections()
    }
    const configured = await plugin.configure(
      keylime.serverHcl({
        keylime_tls_ca_cert_file: pki.write('young-ca.crt', young.pem),
        keylime_tls_cert_file: pair.certFile,
        keylime_tls_key_file: pair.keyFile,
      }),
    )
    expect(configured).toMatchObject({ status: 'OK' })
    const warned = plugin.logs('warn').map(({ raw }) => raw)
    expect(warned.join()).toMatch(/CN=Young CA is not valid before .* is the clock right\?/)
    expect(warned.join()).toMatch(/CN=young is not valid before /)
    expect(await plugin.attest(keylime.node())).toEqual({ status: 'INTERNAL', message: matching(/not valid/) })
    await expect.poll(() => plugin.attest(keylime.node()), { timeout: 20_000 }).toMatchObject({ status: 'OK' })
    const old = await ca.issue('server')
    for (const service of [verifier, registrar]) service.setCertificate({ cert: old.pem, key: old.keyPem() })
  }, 30_000)

  it('stay in force when the new file is half written or does not fit', async () => {
    const { pki, ca, verifier } = keylime
    const issued = await ca.issue('before')
    const pair = pki.writePair('broken', issued)
    await plugin.configure(
      keylime.serverHcl({ keylime_tls_cert_file: pair.certFile, keylime_tls_key_file: pair.keyFile }),
    )
    pki.write('broken.crt', issued.pem.slice(0, 200))
    await expect.poll(() => plugin.logs('error').at(-1)?.raw, { timeout: 15_000 }).toContain('broken.crt')
    verifier.dropConnections()
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
    expect(verifier.stats.clients['before']).toBeGreaterThan(0)
  }, 30_000)
})

describe('after all that', () => {
  it('is the same process and prints nothing but its handshake', () => {
    expect(plugin.process.child.exitCode).toBeNull()
    expect(plugin.process.stdoutRest()).toBe('')
  })
})
