import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import {
  banAgent,
  evictAgent,
  getBundle,
  isServing,
  listAgents,
  listEntries,
  SpireConnection,
  serverInfo,
} from '@tower-of-omens/spire-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newTestPki } from '../fakes/pki.ts'
import { prepareParts } from '../lab/parts/prepare.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { Processes } from '../lab/processes/processes.ts'
import { SpireServer } from '../lab/services/spire-server.ts'

const opa = resolve(import.meta.dirname, '../../packaging/opa')

describe("SPIRE's socket under the shipped policy", () => {
  const dir = mkdtempSync(join(tmpdir(), 'socket-'))
  const processes = new Processes(dir, dir)
  const pki = newTestPki()
  let server: SpireServer | undefined
  let connection: SpireConnection | undefined

  beforeAll(async () => {
    const { spireBin, serverPlugin } = await prepareParts(process.stderr, true)
    // This test's own program stands where /usr/bin/towerkeep would: the server looks at the path of the caller.
    const data = readFileSync(join(opa, 'towerkeep.json'), 'utf8').replace(
      '/usr/bin/towerkeep',
      realpathSync(process.execPath),
    )
    writeFileSync(join(dir, 'towerkeep.json'), data)
    const policy = { rego_path: join(opa, 'towerkeep.rego'), policy_data_path: join(dir, 'towerkeep.json') }
    const ca = await pki.root('Keylime CA')
    const { certFile, keyFile } = pki.writePair('plugin', await ca.issue('plugin'))
    const caFile = pki.write('ca.crt', ca.pem)
    server = await SpireServer.configure(processes, {
      dir: join(dir, 'spire'),
      binDir: spireBin,
      port: await freePorts(),
      trustDomain: 'example.org',
      plugin: {
        command: serverPlugin,
        data: {
          keylime_tls_ca_cert_file: caFile,
          keylime_tls_cert_file: certFile,
          keylime_tls_key_file: keyFile,
        },
      },
      more: { audit_log_enabled: true, experimental: { auth_opa_policy_engine: { local: policy } } },
    })
    await server.start()
    connection = new SpireConnection({ socketPath: server.socketPath })
  }, 300_000)

  afterAll(async () => {
    connection?.close()
    await processes.stopAll()
    pki.remove()
    rmSync(dir, { recursive: true, force: true })
  })

  it('lets the daemon read, ban and evict, and mint nothing [O23]', async () => {
    const spire = connection as SpireConnection
    expect(await listAgents(spire)).toEqual([])
    expect(await listEntries(spire)).toEqual([])
    expect(await isServing(spire)).toBe(true)
    expect((await serverInfo(spire)).id).toBe('spiffe://example.org/spire/server')
    expect((await getBundle(spire)).authorities).toHaveLength(1)
    const nobody = 'spiffe://example.org/spire/agent/keylime/nobody'
    expect([await banAgent(spire, nobody), await evictAgent(spire, nobody)]).toEqual([false, false])
    expect(await mint(server?.socketPath ?? '')).toMatchObject({ code: 7 })
  })

  it('leaves everybody else as SPIRE has it, and names the caller in its log', async () => {
    const minted = await server?.cli('x509', 'mint', '-spiffeID', 'spiffe://example.org/web')
    expect(minted?.code).toBe(0)
    const log = server?.readLog() ?? ''
    expect(log).toContain(`caller_path=${realpathSync(process.execPath)}`)
  })
})

/** Asks for an SVID as whoever holds the socket can, in bytes: no client of ours can do it. */
function mint(socketPath: string): Promise<unknown> {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure())
  const path = '/spire.api.server.svid.v1.SVID/MintX509SVID'
  return new Promise((done) => {
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), new Metadata(), (error, answer) => {
      client.close()
      done(error ?? answer)
    })
  })
}

function same(bytes: Buffer): Buffer {
  return bytes
}
