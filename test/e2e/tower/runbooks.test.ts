import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../../plugins/gate/catalogue/catalogue.ts'
import { meaningOf } from '../../lab/services/keylime-admin.ts'
import { heal, rebootAndHeal, tamper } from '../../lab/tower/actions.ts'
import { serveControl } from '../../lab/tower/control.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { runTowerkeep } from '../../lab/tower/keeping.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { verbHandler } from '../../lab/tower/verbs.ts'
import { blocksOf, rehearsalDir, runBlock, runbookEnv } from './rehearsal.ts'
import { describeCertificates, describeServerCertificate, leadToCertificates } from './rehearsed-towerkeep.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'

const PREFIX = 'twbook'
const DOCS = resolve(import.meta.dirname, '..', '..', '..', 'docs')
const PAGES = globSync('runbooks/*.md', { cwd: DOCS }).toSorted()
const read = (page: string): string => readFileSync(join(DOCS, page), 'utf8')

/** What `towerkeep` does instead: status and explain, renew, enroll, restore and gc, policy, entries, recover. */
const REPLACED = [
  /keylime_tenant -c (?!reactivate)/,
  /\bopenssl (?!x509 -in \S+ -noout)/,
  /\bbao (?:write|read)\b.*\bpki_int/,
  /spire-server (?:agent|entry)\b/,
  /\bcurl\b/,
  /sqlite/,
]

/** Verbs of `towerkeep` that the blocks run. */
const USED = [
  'status',
  'doctor',
  'explain',
  'enroll prepare',
  'enroll apply',
  'enroll accept',
  'renew',
  'recover',
  'revoke',
  'restore',
  'policy diff',
  'policy show',
  'gc',
]

/** What an operator copies from the terminal into the next command, by the variable that stands for it. */
const COPIED: Readonly<Record<string, RegExp>> = {
  ROLE_ID: /([0-9a-f]{8}-[0-9a-f-]{27})/,
  WRAPPED: /--wrapped-secret-id (\S+)/,
  AGENT_ID: /--agent-id (\S+)/,
  EK: /--ek (\S+)/,
}

function copiedFrom(said: string): Readonly<Record<string, string>> {
  const found = Object.entries(COPIED).map(([name, pattern]) => [name, pattern.exec(said)?.[1]] as const)
  return Object.fromEntries(found.filter((one): one is readonly [string, string] => one[1] !== undefined))
}

describe('the runbooks', () => {
  it('are the five that operators ask for, and lead only to pages that exist [T65]', () => {
    expect(PAGES.map((page) => basename(page, '.md'))).toEqual([
      'attestation-failure',
      'certificate-renewal',
      'disaster-recovery',
      'new-host',
      'spire-agent-recovery',
    ])
    const links = [...PAGES, 'runbooks.md'].flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path = '']) => join(dirname(page), path)),
    )
    expect(links.filter((path) => !existsSync(join(DOCS, path)))).toEqual([])
  })

  it('leave to other programs only what towerkeep does not do [O28]', () => {
    const lines = PAGES.flatMap((page) => blocksOf(read(page)).flatMap(({ commands }) => commands.split('\n')))
    expect(lines.filter((line) => REPLACED.some((pattern) => pattern.test(line)))).toEqual([])
    const verbs = lines.flatMap(
      (line) => /^towerkeep ([a-z]+(?: (?:prepare|apply|accept|diff|show))?)/.exec(line)?.[1] ?? [],
    )
    expect(new Set(verbs)).toEqual(new Set(USED))
  })

  it('are found from every code that a message carries [T50]', () => {
    const rows = [...read('runbooks.md').matchAll(/^\| (`KL-[^|]+) \| \[[^\]]+\]\(([^)]+)\)/gm)]
    const patterns = rows.flatMap(([, codes = '']) =>
      [...codes.matchAll(/`(KL-[A-Z-]+\*?)`/g)].map(([, code = '']) => new RegExp(`^${code.replace('*', '.*')}$`)),
    )
    expect(rows.length).toBeGreaterThan(3)
    expect(rows.map(([, , page = '']) => page).filter((page) => ![...PAGES, 'tpm-evidence.md'].includes(page))).toEqual(
      [],
    )
    const codes = Object.keys(CATALOGUE)
    expect(codes.filter((code) => !patterns.some((pattern) => pattern.test(code)))).toEqual([])
    expect(patterns.filter((pattern) => !codes.some((code) => pattern.test(code)))).toEqual([])
  })
})

onTower('the commands of the runbooks', () => {
  const tower = useTower(PREFIX, { patience: 'short' })
  let control: Awaited<ReturnType<typeof serveControl>>
  beforeAll(async () => {
    control = await serveControl(PREFIX, verbHandler(tower()))
  })
  afterAll(() => control?.close())

  /** Runs every block of a page about one node; what failed is named by its heading. */
  async function rehearse(page: string, node: TowerHost, line: Timeline): Promise<void> {
    const spire = tower().host('spire')
    const tokenFile = join(tower().dir, 'bao-token')
    writeFileSync(tokenFile, tower().bao.operator.token, { mode: 0o600 })
    for (const host of [node, spire]) mkdirSync(rehearsalDir(tower(), host), { recursive: true, mode: 0o700 })
    let output = ''
    for (const block of blocksOf(read(`runbooks/${page}.md`))) {
      const env = { ...copiedFrom(output), ...runbookEnv(tower(), node), TOKEN_FILE: tokenFile }
      const options = { tower: tower(), prefix: PREFIX, parts: await towerParts(), env }
      const { code, stdout, stderr } = await runBlock(options, block.on === 'node' ? node : spire, block)
      output += stdout
      const said = code === block.exits ? '' : `${stdout.slice(-1500)}\n${stderr.slice(-1500)}`
      const { heading, commands, exits } = block
      expect({ page, heading, commands, code, said }).toEqual({ page, heading, commands, code: exits, said: '' })
      line.mark(`${heading}: ${commands.split('\n')[1]?.trim().slice(0, 70) ?? ''}`)
    }
    line.end()
  }

  /** Brings back what an attempt before this one may have left banned, given up or failed. */
  async function makeWell(host: TowerHost): Promise<void> {
    if (await tower().bao.isSealed()) await tower().bao.unseal()
    const isPolled = meaningOf(await tower().keylime.admin.enrolled(host.agentId)) === 'polled'
    if (!isPolled) await rebootAndHeal(tower(), host)
    if ((await tower().spire.agentShow(host.spiffeId))?.banned === true) await tower().spire.evict(host.spiffeId)
    await svidReturns(host)
  }

  it('put a new host to work [O28] [T65] [T66]', async () => {
    const line = new Timeline('runbook: new host', ['O28', 'T65', 'T66'])
    const host = await tower().raiseNext()
    try {
      // Enables the login by AppRole.
      await tower().bao.allowAppRole('nobody', 'keylime-agents')
      leadToCertificates(host, rehearsalDir(tower(), host))
      await rehearse('new-host', host, line)
      expect(await hasSvid(host)).toBe(true)
    } catch (error) {
      // The whole tower is waited for below, so nothing may be left of a host that did not come.
      if (host.registered) {
        const journal = rehearsalDir(tower(), host)
        await runTowerkeep(tower(), ['gc', host.agentId, '--delete', '--yes', '--journal', journal])
      }
      await tower().removeHost(host.name)
      throw error
    }
  })

  it('find out why an attestation fails, and mend it [O28] [T65]', async () => {
    const host = tower().host('auth')
    await makeWell(host)
    const line = new Timeline('runbook: attestation failure', ['O28', 'T65'])
    await tamper(host)
    await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    // At half of its SVID's life it attests again.
    await host.spire.target.waitForLog(/KL-GATE-INVALID-QUOTE/, 90_000)
    line.mark('auth is tampered with, and refused')
    await rehearse('attestation-failure', host, line)
    await svidReturns(host)
    expect(meaningOf(await tower().keylime.admin.enrolled(host.agentId))).toBe('polled')
  })

  it('renew certificates, with which the node attests [O28] [T65]', async () => {
    const host = tower().host('ca')
    await makeWell(host)
    await describeCertificates(tower(), host, rehearsalDir(tower(), host))
    await describeServerCertificate(tower(), rehearsalDir(tower(), tower().host('spire')))
    const files = [host.files.agentCert, host.files.pluginCert, tower().certificates.cert('plugin')]
    const texts = (): readonly string[] => files.map((file) => readFileSync(file, 'utf8'))
    const before = texts()
    await rehearse('certificate-renewal', host, new Timeline('runbook: certificate renewal', ['O28', 'T65']))
    const after = texts()
    expect(after.map((text, at) => text === before[at])).toEqual([false, false, false])
    // Two restarts may last longer than this tower's verifier is patient, which is a tenth of the usual.
    await heal(tower(), host)
    const serial = await serialOf(tower(), host)
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    expect((await tower().keylime.admin.enrolled(host.agentId))?.attestationStatus).toBe('PASS')
  })

  it('bring the tower back after a disaster [O28] [T65]', async () => {
    const host = tower().host('ca')
    await makeWell(host)
    const line = new Timeline('runbook: disaster recovery', ['O28', 'T65'])
    await tower().bao.seal()
    await host.stopKeylimeAgent()
    await tower().keylime.admin.waitForState(host.agentId, 'failed', 60_000)
    await tower().spire.evict(host.spiffeId)
    line.mark('OpenBao is sealed; Keylime has given ca up')
    await rehearse('disaster-recovery', host, line)
    expect(await tower().bao.isSealed()).toBe(false)
    await svidReturns(host)
  })

  it('bring a SPIRE agent back, or take its node out for good [O28] [T65]', async () => {
    const host = tower().host('auth')
    await tower().spire.ban(host.spiffeId)
    await rehearse('spire-agent-recovery', host, new Timeline('runbook: SPIRE agent recovery', ['O28', 'T65']))
    expect(await tower().keylime.admin.enrolled(host.agentId)).toBeUndefined()
    expect(await tower().keylime.admin.registered(host.agentId)).toBeUndefined()
    expect(await tower().spire.agentShow(host.spiffeId)).toBeUndefined()
  })
})
