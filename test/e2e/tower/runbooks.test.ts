import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../../plugins/gate/catalogue/catalogue.ts'
import { meaningOf } from '../../lab/services/keylime-admin.ts'
import { tamper } from '../../lab/tower/actions.ts'
import { bootPcrs, GOOD_BOOT } from '../../lab/tower/boot-log.ts'
import { serveControl } from '../../lab/tower/control.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { KEYLIME_PORTS, SERVICE_NAMES } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { verbHandler } from '../../lab/tower/verbs.ts'
import { blocksOf, runBlock, runbookEnv } from './rehearsal.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'

const PREFIX = 'twbook'
const DOCS = resolve(import.meta.dirname, '..', '..', '..', 'docs')
const PAGES = globSync('runbooks/*.md', { cwd: DOCS }).toSorted()
const read = (page: string): string => readFileSync(join(DOCS, page), 'utf8')

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
    const pins = bootPcrs(GOOD_BOOT)
    for (const block of blocksOf(read(`runbooks/${page}.md`))) {
      const env = {
        ...runbookEnv(tower(), node, block.on),
        TPM_POLICY: JSON.stringify({ 0: [pins.get(0)], 7: [pins.get(7)] }),
        VERIFIER: `https://${SERVICE_NAMES.verifier}:${KEYLIME_PORTS.verifier}`,
      }
      const options = { tower: tower(), prefix: PREFIX, parts: await towerParts(), env }
      const { code, stdout, stderr } = await runBlock(
        options,
        block.on === 'node' ? node : tower().host('spire'),
        block,
      )
      const said = code === 0 ? '' : `${stdout.slice(-1500)}\n${stderr.slice(-1500)}`
      expect({ page, heading: block.heading, commands: block.commands, code, said }).toEqual({
        page,
        heading: block.heading,
        commands: block.commands,
        code: 0,
        said: '',
      })
      line.mark(`${block.heading}: ${block.commands.split('\n')[1]?.trim().slice(0, 70) ?? ''}`)
    }
    line.end()
  }

  it('put a new host to work [T65] [T66]', async () => {
    const line = new Timeline('runbook: new host', ['T65', 'T66'])
    const host = await tower().raiseNext()
    await rehearse('new-host', host, line)
    expect(await hasSvid(host)).toBe(true)
  })

  it('find out why an attestation fails, and mend it [T65]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('runbook: attestation failure', ['T65'])
    await tamper(host)
    await tower().keylime.admin.waitForState(host.agentId, 'rejected')
    // At half of its SVID's life it attests again.
    await host.spire.target.waitForLog(/KL-GATE-INVALID-QUOTE/, 90_000)
    line.mark('auth is tampered with, and refused')
    await rehearse('attestation-failure', host, line)
    await svidReturns(host)
    expect(meaningOf(await tower().keylime.admin.enrolled(host.agentId))).toBe('polled')
  })

  it('renew certificates, with which the node attests [T65]', async () => {
    const host = tower().host('ca')
    const before = readFileSync(host.files.agentCert, 'utf8') + readFileSync(host.files.pluginCert, 'utf8')
    await rehearse('certificate-renewal', host, new Timeline('runbook: certificate renewal', ['T65']))
    const after = readFileSync(host.files.agentCert, 'utf8') + readFileSync(host.files.pluginCert, 'utf8')
    expect(after).not.toBe(before)
    const serial = await serialOf(tower(), host)
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    expect((await tower().keylime.admin.enrolled(host.agentId))?.attestationStatus).toBe('PASS')
  })

  it('bring the tower back after a disaster [T65]', async () => {
    const host = tower().host('ca')
    const line = new Timeline('runbook: disaster recovery', ['T65'])
    await tower().bao.seal()
    await host.stopKeylimeAgent()
    await tower().keylime.admin.waitForState(host.agentId, 'failed', 60_000)
    await tower().spire.evict(host.spiffeId)
    line.mark('OpenBao is sealed; Keylime has given ca up')
    await rehearse('disaster-recovery', host, line)
    expect(await tower().bao.isSealed()).toBe(false)
    await svidReturns(host)
  })

  it('bring a SPIRE agent back, or take its node out for good [T65]', async () => {
    const host = tower().host('auth')
    await tower().spire.ban(host.spiffeId)
    await rehearse('spire-agent-recovery', host, new Timeline('runbook: SPIRE agent recovery', ['T65']))
    expect(await tower().keylime.admin.enrolled(host.agentId)).toBeUndefined()
    expect(await tower().keylime.admin.registered(host.agentId)).toBeUndefined()
    expect(await tower().spire.agentShow(host.spiffeId)).toBeUndefined()
  })
})
