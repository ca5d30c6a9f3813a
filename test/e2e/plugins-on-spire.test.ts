/**
 * The two plugins that come alone, in a real spire-server and a real spire-agent: the keeper beside the server's CA, the
 * agent's keys in software TPMs.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newBoard, tracked } from '../lab/parts/progress.ts'
import { requireSpire } from '../lab/parts/spire.ts'
import { runCommand } from '../lab/processes/commands.ts'
import { pollUntil } from '../lab/processes/poll.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { Processes, type RigProcess } from '../lab/processes/processes.ts'
import { type ConfObject, renderHcl } from '../lab/services/hcl-text.ts'
import { Swtpm } from '../lab/services/swtpm.ts'
import { SITE_DOMAIN, serverSocket, tpmKeysAgentConf, tpmKeysServerConf } from '../lab/services/tpm-keys-site.ts'

const dist = process.env['TOWER_DIST'] ?? resolve(import.meta.dirname, '../../dist')
const missing = ['swtpm', 'swtpm_setup'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined)

interface Site {
  readonly folder: string
  readonly bin: string
  readonly port: number
  readonly processes: Processes
  readonly tpms: Readonly<Record<'own' | 'other', Swtpm>>
}

let site: Site

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plugins-'))
  for (const name of ['logs', 'own', 'other', 'bundle', 'server', 'agent', 'tmp']) mkdirSync(join(folder, name))
  const processes = new Processes(folder, join(folder, 'logs'))
  const board = newBoard(process.stderr)
  const bin = await tracked(board, 'SPIRE', requireSpire).finally(() => board.close())
  const own = await Swtpm.start(processes, { dir: join(folder, 'own'), name: 'own' })
  const other = await Swtpm.start(processes, { dir: join(folder, 'other'), name: 'other' })
  site = { folder, bin, port: await freePorts(), processes, tpms: { own, other } }
  await startServer()
}, 600_000)

afterAll(async () => {
  await site.processes.stopAll()
  rmSync(site.folder, { recursive: true, force: true })
}, 60_000)

function start(program: string, name: string, conf: ConfObject, args: readonly string[] = []): RigProcess {
  const file = join(site.folder, `${name}.conf`)
  writeFileSync(file, renderHcl(conf))
  return site.processes.start({
    name,
    command: join(site.bin, program),
    args: ['run', '-config', file, ...args],
    env: { TMPDIR: join(site.folder, 'tmp') },
    told: 'leader',
  })
}

async function startServer(): Promise<void> {
  const { folder, port } = site
  const keeper = {
    plugin_cmd: join(dist, 'bundle-publisher-keeper'),
    plugin_data: { folder: join(folder, 'bundle') },
  }
  const server = { folder: join(folder, 'server'), port, morePlugins: { 'BundlePublisher "keeper"': keeper } }
  start('spire-server', 'spire-server', tpmKeysServerConf(server))
  await pollUntil('spire-server', async () => (await ask('healthcheck').catch(() => '')) !== '', { deadlineMs: 30_000 })
}

function ask(...args: string[]): Promise<string> {
  return runCommand(join(site.bin, 'spire-server'), [...args, '-socketPath', serverSocket(join(site.folder, 'server'))])
}

/** Starts the agent of a folder, whose keys are in one of the TPMs. */
function startAgent(folder: string, tpm: Swtpm, token?: string): RigProcess {
  const conf = tpmKeysAgentConf({
    folder,
    serverPort: site.port,
    // What the keeper has published is what the agent trusts.
    bundleFile: join(site.folder, 'bundle/bundle.pem'),
    tpmPath: tpm.path,
    keyManager: join(dist, 'key-manager-tpm'),
  })
  mkdirSync(join(folder, 'data'), { recursive: true })
  return start('spire-agent', `spire-agent-${agents++}`, conf, token === undefined ? [] : ['-joinToken', token])
}
let agents = 0

interface ListedAgents {
  readonly agents: readonly { readonly x509svid_serial_number: string }[]
}

async function serial(): Promise<string | undefined> {
  const { agents: listed } = JSON.parse(await ask('agent', 'list', '-output', 'json')) as ListedAgents
  return listed[0]?.x509svid_serial_number
}

describe.skipIf(missing.length > 0)('on a real SPIRE (skipped without swtpm)', () => {
  it('the keeper has the bundle in its folder, and follows a new CA within seconds [keeper:spire:rotation]', async () => {
    const bundle = join(site.folder, 'bundle/bundle.pem')
    await pollUntil('the bundle', () => existsSync(bundle), { deadlineMs: 15_000, intervalMs: 50 })
    expect(readFileSync(bundle, 'utf8').trim()).toBe((await ask('bundle', 'show')).trim())
    await ask('localauthority', 'x509', 'prepare')
    const roots = (): number => readFileSync(bundle, 'utf8').split('BEGIN CERTIFICATE').length - 1
    await pollUntil('the second root', () => roots() === 2, { deadlineMs: 15_000, intervalMs: 50 })
    expect(readFileSync(bundle, 'utf8').trim()).toBe((await ask('bundle', 'show')).trim())
  })

  it('an agent attests, renews and restarts with its keys in the TPM; a copy of its disk is no agent [tpm-keys:spire:life]', {
    timeout: 180_000,
  }, async () => {
    const folder = join(site.folder, 'agent')
    const token = /Token: (\S+)/.exec(await ask('token', 'generate', '-spiffeID', `spiffe://${SITE_DOMAIN}/node`))?.[1]
    const first = startAgent(folder, site.tpms.own, token)
    const attested = await pollUntil('the agent', serial, {
      deadlineMs: 60_000,
      intervalMs: 250,
      logFile: first.logFile,
    })
    expect(readdirSync(join(folder, 'tpm-keys')).length).toBeGreaterThan(0)
    expect(readdirSync(join(folder, 'data')).filter((name) => name.includes('key'))).toEqual([])
    const renewed = async (): Promise<boolean> => (await serial()) !== attested
    await pollUntil('another SVID', renewed, { deadlineMs: 60_000, intervalMs: 250, logFile: first.logFile })
    await first.stop()

    // A join token is good for one attestation: only with its old key can the agent come back.
    const second = startAgent(folder, site.tpms.own)
    const back = (): boolean => second.readLog().includes('Successfully rotated agent SVID')
    await pollUntil('the agent to be back', back, { deadlineMs: 60_000, logFile: second.logFile })
    expect(second.readLog()).not.toContain('Key is of another TPM')
    await second.stop()

    const copy = join(site.folder, 'copy')
    cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') })
    const thief = startAgent(copy, site.tpms.other)
    const refused = (): boolean => thief.readLog().includes('join token was not provided')
    await pollUntil('the copy to be at a loss', refused, { deadlineMs: 60_000, logFile: thief.logFile })
    expect(thief.readLog()).toContain('Key is of another TPM')
    await thief.stop()
  })
})
