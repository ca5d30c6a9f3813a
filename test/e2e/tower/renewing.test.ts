import { X509Certificate } from 'node:crypto'
import { existsSync, type FSWatcher, mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CommandResult, tryCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { RootCa } from '../../lab/services/pki.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, attestUntil, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'
import { documentOf, type VerbDocument, verbsOf } from './verbs.ts'

/** OpenBao dates a certificate half a minute back, so of this life the last ten seconds are its last third. */
const SHORT_TTL = '24s'
const CYCLES = 3

// Keylime agents restart under load: more patience than for six seconds.
const tower = useTower('twrenew', { hosts: 2, patience: 'default' })
const { attemptOn } = verbsOf(tower)

const host = (): TowerHost => tower().host('auth')
const folder = (): string => join(tower().dir, 'renew')
const leaf = (): X509Certificate => new X509Certificate(readFileSync(host().files.agentCert))
const pairText = (): readonly string[] =>
  [host().files.agentCert, host().files.agentKey].map((file) => readFileSync(file, 'utf8'))
const serverLog = (): string => tower().spire.process().readLog()
/** Lines about attestations that did not succeed. */
const refusals = (log: string): readonly string[] =>
  log.split('\n').filter((text) => /Node refused|Node not attested yet|Attestation failed/.test(text))

type Values = Readonly<Record<string, string | readonly string[]>>

/** Describes the Keylime agent's certificate as `/etc/towerkeep/certs.d/agent.hcl` does, and gives the folder. */
function described(name: string, change: Values = {}): string {
  const { files, ip, name: short } = host()
  const values: Values = {
    cert_file: files.agentCert,
    key_file: files.agentKey,
    common_name: `${short}.${DOMAIN}`,
    dns_names: [`${short}.${DOMAIN}`, 'localhost'],
    ip_addresses: [ip, '127.0.0.1'],
    address: tower().bao.operator.address,
    ca_file: files.chain,
    role: 'keylime-agents',
    ttl: SHORT_TTL,
    approle_role_id_file: join(folder(), 'role-id'),
    approle_secret_id_file: join(folder(), 'secret-id'),
    trust_to_root: [files.chain],
    reload: [join(folder(), 'restart')],
    handshake: '127.0.0.1:9002',
    handshake_cert_file: files.pluginCert,
    handshake_key_file: files.pluginKey,
    ...change,
  }
  const certs = join(folder(), name)
  mkdirSync(certs, { recursive: true })
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  writeFileSync(join(certs, 'agent.hcl'), lines.join('\n'))
  return certs
}

/** Runs what the timer runs. */
function renewAll(certs: string, ...more: readonly string[]): Promise<CommandResult> {
  return attemptOn('auth', 'renew', '--all', '--certs', certs, ...more)
}

const outcome = (ran: CommandResult): VerbDocument['items'][number] => documentOf(ran).items[0] ?? {}

/** Restarts the Keylime agent whenever the reload program asks: the agent is the test's child. */
function restartOnDemand(): FSWatcher {
  const [ask, program] = [join(folder(), 'ask'), join(folder(), 'restart')]
  writeFileSync(program, `#!/bin/sh\ntouch ${ask}\nwhile [ -e ${ask} ]; do sleep 0.05; done\n`, { mode: 0o755 })
  let busy = false
  return watch(folder(), () => {
    if (busy || !existsSync(ask)) return
    busy = true
    void (async () => {
      await host().stopKeylimeAgent()
      await host().startKeylimeAgent()
      busy = false
      rmSync(ask, { force: true })
    })()
  })
}

/** Writes an SVID of the host's workload into files, as a workload without a library does. */
async function svidFiles(spiffeId: string): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  const into = join(folder(), 'svid')
  mkdirSync(into, { recursive: true, mode: 0o700 })
  const program = join((await towerParts()).spireBin, 'spire-agent')
  const args = ['api', 'fetch', 'x509', '-socketPath', host().workloadSocket, '-write', into]
  if ((await tryCommand(program, args)).code !== 0) return undefined
  const found = readdirSync(into).find(
    (name) =>
      /^svid\.\d+\.pem$/.test(name) &&
      (new X509Certificate(readFileSync(join(into, name))).subjectAltName ?? '').includes(`URI:${spiffeId}`),
  )
  return found === undefined ? undefined : { cert: join(into, found), key: join(into, found.replace('.pem', '.key')) }
}

onTower('towerkeep renews', () => {
  let restarts: FSWatcher
  beforeAll(async () => {
    mkdirSync(folder(), { recursive: true })
    const { roleId, secretId } = await tower().bao.allowAppRole('auth', 'keylime-agents')
    writeFileSync(join(folder(), 'role-id'), roleId, { mode: 0o600 })
    writeFileSync(join(folder(), 'secret-id'), secretId, { mode: 0o600 })
    restarts = restartOnDemand()
  })
  afterAll(() => restarts?.close())

  it('short certificates by its timer alone, three times, while the host attests without pause [O08] [T12] [T24] [T40] [T51] [T63] [P10] [P21]', async () => {
    const line = new Timeline('renew --all: three cycles of short certificates under load', [
      'O08',
      'T40',
      'T51',
      'T63',
    ])
    const certs = described('cycles')
    expect(outcome(await renewAll(certs, '--force'))['outcome']).toBe('done')
    line.mark(`a certificate of ${SHORT_TTL} is served`)
    const log = serverLog().length
    const serials = new Set([leaf().serialNumber])
    let ended = false
    const load = attestUntil(tower(), host(), () => ended)
    try {
      const cycle = async (): Promise<boolean> => {
        const ran = await renewAll(certs)
        expect([ran.code, ran.code === 0 ? '' : ran.stderr]).toEqual([0, ''])
        serials.add(leaf().serialNumber)
        return serials.size > CYCLES
      }
      await pollUntil('three certificates to be renewed when they are due', cycle, {
        deadlineMs: 120_000,
        intervalMs: 500,
      })
    } finally {
      ended = true
    }
    const attested = await load
    expect([attested > 0, refusals(serverLog().slice(log))]).toEqual([true, []])
    line.mark(`renewed ${CYCLES} times when due; ${attested} attestations meanwhile, none failed`)
    expect(outcome(await renewAll(described('long', { ttl: '24h' }), '--force'))['outcome']).toBe('done')
    expect(outcome(await renewAll(described('long', { ttl: '24h' })))['outcome']).toBe('not-due')
    line.end()
  })

  it('nothing while OpenBao is sealed: the old files stay in force, and the host attests with them [O08] [T92] [P14]', async () => {
    const line = new Timeline('renew while OpenBao is sealed', ['O08', 'T92'])
    const certs = described('sealed', { ttl: '24h' })
    const before = pairText()
    await tower().bao.seal()
    try {
      const sealed = await renewAll(certs, '--force')
      expect([sealed.code, sealed.stdout]).toEqual([75, expect.stringContaining('unseal it')])
      expect(pairText()).toEqual(before)
      const serial = await serialOf(tower(), host())
      await tower().spire.evict(host().spiffeId)
      await attestedAgain(tower(), host(), serial)
      line.mark('exit 75, both files as before, and the host attests with them')
    } finally {
      await tower().bao.unseal()
    }
    expect((await renewAll(certs, '--force')).code).toBe(0)
    expect(pairText()).not.toEqual(before)
    line.mark('unsealed: the next run renews')
    line.end()
  })

  it('nothing that a peer would refuse or the service does not serve, and says when its hook fails [O08] [P10] [P20]', async () => {
    const line = new Timeline('renew with a fault: rolled back', ['O08'])
    const stranger = new RootCa(join(folder(), 'stranger'))
    if (!existsSync(join(folder(), 'stranger', 'root.crt'))) stranger.create()
    const elsewhere = join(folder(), 'elsewhere.crt')
    writeFileSync(elsewhere, stranger.certificate())
    const before = pairText()
    const refused = await renewAll(described('unknown', { trust_to_root: [elsewhere], ttl: '24h' }), '--force')
    expect([refused.code, refused.stdout]).toEqual([2, expect.stringContaining(`a peer that trusts ${elsewhere}`)])
    expect(pairText()).toEqual(before)
    line.mark('its issuer is missing at a peer: exit 2, nothing was put in place')
    const deaf = { reload: ['/bin/true'], handshake_within: '1s', ttl: '24h' }
    const unserved = await renewAll(described('deaf', deaf), '--force')
    expect([unserved.code, outcome(unserved)['outcome'], unserved.stdout]).toEqual([
      2,
      'undone',
      expect.stringContaining('it has not read the new file'),
    ])
    expect(pairText()).toEqual(before)
    line.mark('its service goes on with the old one: exit 2, the old files are back')
    const hooked = await renewAll(described('hook', { hook: ['/bin/false'], ttl: '24h' }), '--force')
    expect([hooked.code, hooked.stdout]).toEqual([1, expect.stringContaining('/bin/false: ended with 1')])
    expect(pairText()).not.toEqual(before)
    line.mark('its hook fails: exit 1, the new one is in force')
    line.end()
  })

  it('by AppRole when the host was away for longer than certificate and SVID live, and the host returns [O09] [T92] [P14] [P27]', async () => {
    const line = new Timeline('renew after a long absence', ['O09'])
    const renewer = `spiffe://${DOMAIN}/renewer/${Date.now()}`
    const entry = { spiffeId: renewer, parentId: host().spiffeId, selectors: ['unix:uid:0'] }
    // The DNS name becomes the common name, by which OpenBao knows who has logged in.
    await tower().spire.createEntry({ ...entry, x509SvidTtl: 15, dnsNames: [`auth.${DOMAIN}`] })
    await tower().bao.allowSvid(
      'auth',
      { bundle: readFileSync(tower().bundleFile, 'utf8'), id: renewer },
      'keylime-agents',
    )
    const svid = await pollUntil('the SVID to log in with', () => svidFiles(renewer), { deadlineMs: 30_000 })
    const login = { svid_cert_file: svid.cert, svid_key_file: svid.key, svid_role: 'auth', ttl: '5s' }
    try {
      const bySvid = await renewAll(described('absence', login), '--force')
      expect([bySvid.code, bySvid.stderr]).toEqual([0, expect.not.stringContaining('AppRole is tried')])
      line.mark('renewed: logged in by SVID')
      await host().pause()
      const ends = [leaf(), new X509Certificate(readFileSync(svid.cert))].map(({ validToDate }) =>
        validToDate.getTime(),
      )
      await delay(Math.max(0, Math.max(...ends) - Date.now()) + 1_000)
      line.mark('switched off, until its certificate and its SVID had ended')
      const certs = described('absence', { ...login, ttl: '24h' })
      const byAppRole = await renewAll(certs)
      expect([byAppRole.code, byAppRole.stderr]).toEqual([0, expect.stringContaining('AppRole is tried')])
      expect(leaf().validToDate.getTime()).toBeGreaterThan(Date.now() + 3_600_000)
      line.mark('switched on: the SVID is not taken, AppRole is; renewed, and served')
    } finally {
      await host().stopKeylimeAgent()
      await host().startKeylimeAgent()
      host().spire.start()
    }
    // The verifier asks it again by itself, after a pause that has grown meanwhile.
    await svidReturns(host())
    line.mark('and it attests')
    line.end()
  })
})
