import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type FakeNode, newFakeNode } from '../fakes/fake-node.ts'
import { newTestPki } from '../fakes/pki.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin
let rows = 0

beforeAll(async () => {
  keylime = await startFakeKeylime({ ak: 'ec-p256' })
  plugin = await ServerPlugin.start()
})
beforeEach(async () => {
  await plugin.configure(keylime.serverHcl())
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

// A node of its own for each case, so that no remembered record hides a fault.
function freshNode(): FakeNode {
  rows += 1
  const node = newFakeNode(`node-${rows}`, keylime.node().tpm)
  keylime.enrol(node)
  return node
}

/** Waits for a line of the plugin's log: a caller that has proved nothing does not read such details. */
async function logHolds(pattern: RegExp): Promise<void> {
  await expect.poll(() => plugin.logs().some(({ raw }) => pattern.test(raw)), { timeout: 10_000 }).toBe(true)
}

describe('the way to Keylime', () => {
  it('names an expired certificate of the verifier and of the registrar', async () => {
    const expired = await keylime.ca.issue('server', { validity: 'expired' })
    const good = await keylime.ca.issue('server')
    for (const service of ['verifier', 'registrar'] as const) {
      keylime[service].setCertificate({ cert: expired.pem, key: expired.keyPem() })
      keylime[service].dropConnections()
      const outcome = await plugin.attest(freshNode())
      keylime[service].setCertificate({ cert: good.pem, key: good.keyPem() })
      expect(outcome).toEqual({ status: 'INTERNAL', message: matching(new RegExp(`${service}.*expired`)) })
    }
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })

  it('names the presented and the expected names when they differ [T25]', async () => {
    const other = await keylime.ca.issue('server', { dns: ['keylime.example'], ip: ['10.9.8.7'] })
    const good = await keylime.ca.issue('server')
    keylime.verifier.setCertificate({ cert: other.pem, key: other.keyPem() })
    keylime.verifier.dropConnections()
    const { status, message } = await plugin.attest(freshNode())
    expect(status).toBe('INTERNAL')
    for (const part of ['keylime.example', '10.9.8.7', '127.0.0.1']) expect(message).toContain(part)
    expect(
      await plugin.configure(keylime.serverHcl({ keylime_verifier_server_name: 'keylime.example' })),
    ).toMatchObject({
      status: 'OK',
    })
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    keylime.verifier.setCertificate({ cert: good.pem, key: good.keyPem() })
    keylime.verifier.dropConnections()
  })

  it('names the issuer that is missing when the CA file holds another one of the same name [P11]', async () => {
    const reissued = await keylime.pki.root('Keylime Certificate Authority')
    const file = keylime.pki.write('reissued.crt', reissued.pem)
    await plugin.configure(keylime.serverHcl({ keylime_tls_ca_cert_file: file }))
    expect(await plugin.attest(freshNode())).toEqual({
      status: 'INTERNAL',
      message: matching(/registrar.*not in our CA file|registrar.*issuer of that name with another key/),
    })
    await logHolds(/registrar .*Keylime Certificate Authority/)
  })

  it('says that the server does not trust our certificate, and who issued that [P07]', async () => {
    const stranger = await keylime.pki.root('Stranger CA')
    const pair = keylime.pki.writePair('stranger', await stranger.issue('client'))
    await plugin.configure(
      keylime.serverHcl({ keylime_tls_cert_file: pair.certFile, keylime_tls_key_file: pair.keyFile }),
    )
    const { status, message } = await plugin.attest(freshNode())
    expect({ status, message }).toEqual({
      status: 'INTERNAL',
      message: matching(/registrar.*does not (trust the issuer of|accept) our client certificate/),
    })
    expect(message).not.toContain('CN=')
    await logHolds(/Stranger CA/)
  })

  it('gives up on a port where nobody speaks TLS', async () => {
    const silent = createServer(() => undefined)
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    await plugin.configure(keylime.serverHcl({ keylime_verifier_port: port, request_timeout: '300ms' }))
    const outcome = await plugin.attest(freshNode())
    expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(/verifier.*300 ?ms/) })
    silent.close()
  })

  it('names a plain HTTP server where TLS is expected', async () => {
    const plain = await startFakeKeylime({ ak: 'ec-p256' })
    const agent = await plain.startAgent(plain.node(), { tls: false })
    await plugin.configure(keylime.serverHcl({ keylime_verifier_port: agent.port }))
    const { status, message } = await plugin.attest(freshNode())
    expect({ status, message }).toEqual({ status: 'INTERNAL', message: matching(/verifier.*(TLS|HTTP)/) })
    await plain.close()
  })

  it('names a host that does not resolve', async () => {
    await plugin.configure(keylime.serverHcl({ keylime_verifier_host: 'keylime.invalid' }))
    const outcome = await plugin.attest(freshNode())
    expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(/keylime\.invalid/) })
  })
})

describe('API versions', () => {
  it.each(['7.12', '7.13', '7.14.0', '7.14.2', '7.14.3'] as const)(
    'admits a node of Keylime %s [T82] [claims:keylime:versions]',
    async (release) => {
      const other = await startFakeKeylime({ release, ak: 'ec-p256' })
      await plugin.configure(other.serverHcl())
      expect(await plugin.attest(other.node())).toMatchObject({ status: 'OK' })
      await other.close()
    },
  )

  it('names a Keylime before 7.12, and a node in push mode [claims:keylime:versions]', async () => {
    const tooOld = /^keylime registrar, asked for agent .*no API version in common.*\[KL-API-UNSUPPORTED\]$/
    for (const [options, message] of [
      [{ release: '7.10' }, tooOld],
      [{ release: '7.11' }, tooOld],
      [{ pushMode: true }, /is in push mode.*evidence = "tpm"/],
    ] as const) {
      const other = await startFakeKeylime({ ...options, ak: 'ec-p256' })
      await plugin.configure(other.serverHcl())
      const outcome = await plugin.attest(other.node())
      expect(outcome).toEqual({ status: 'FAILED_PRECONDITION', message: matching(message) })
      await other.close()
    }
  })

  it('negotiates again when verifier and registrar are upgraded or downgraded under it', async () => {
    for (const versions of [['2.1', '2.2'], ['2.4', '2.5', '2.6'], ['2.3']]) {
      keylime.verifier.setVersions(versions)
      keylime.registrar.setVersions(versions)
      expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    }
    const all = ['2.1', '2.2', '2.3', '2.4', '2.5', '2.6', '3.0']
    keylime.verifier.setVersions(all)
    keylime.registrar.setVersions(all)
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
    expect(keylime.verifier.seen.filter((path) => path.startsWith('/v3'))).toEqual([])
  })
})

const refusedFiles = async (change: Readonly<Record<string, string>>): Promise<string> => {
  const { status, message } = await plugin.configure(keylime.serverHcl(change))
  expect(status).toBe('INVALID_ARGUMENT')
  const { valid, notes } = await plugin.validate(keylime.serverHcl(change))
  expect({ valid, notes: notes.join('; ') }).toEqual({ valid: false, notes: matching('keylime_tls') })
  return message
}

describe('Configure with certificate files', () => {
  it('refuses what cannot work, naming file and reason, and keeps the old configuration [T23] [P13] [P17]', async () => {
    const other = newTestPki()
    const root = await other.root('Other', { key: 'rsa-2048' })
    const leaf = await root.issue('client', { key: 'rsa-2048' })
    const expired = await root.issue('client', { validity: 'expired' })
    const encrypted = other.write('encrypted.pem', leaf.keyPem('encrypted'))
    const { certFile, keyFile } = other.writePair('good', leaf)
    const old = other.writePair('expired', expired)
    const empty = other.write('empty.pem', '')
    expect(await refusedFiles({ keylime_tls_key_file: `${other.folder}/missing` })).toContain('missing')
    expect(await refusedFiles({ keylime_tls_key_file: keyFile })).toMatch(/is not the key of/)
    expect(await refusedFiles({ keylime_tls_cert_file: certFile, keylime_tls_key_file: encrypted })).toMatch(
      /encrypted/,
    )
    expect(await refusedFiles({ keylime_tls_cert_file: old.certFile, keylime_tls_key_file: old.keyFile })).toMatch(
      /expired/,
    )
    expect(await refusedFiles({ keylime_tls_ca_cert_file: empty })).toContain('empty.pem')
    other.remove()
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })

  it.each(['pkcs8', 'sec1', 'pkcs1'] as const)('takes a key in %s [T23] [P17]', async (format) => {
    const key = format === 'pkcs1' ? 'rsa-2048' : 'ec-p256'
    const pair = keylime.pki.writePair(`client-${format}`, await keylime.ca.issue('client', { key }), format)
    const files = { keylime_tls_cert_file: pair.certFile, keylime_tls_key_file: pair.keyFile }
    expect(await plugin.configure(keylime.serverHcl(files))).toMatchObject({ status: 'OK' })
    expect(await plugin.attest(freshNode())).toMatchObject({ status: 'OK' })
  })
})
