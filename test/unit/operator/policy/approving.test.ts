import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isOver, openWindow, openWindows, type Window, windowStep } from '../../../../operator/policy/open-windows.ts'
import { actAt, startFakeSite, towerkeep } from '../towerkeep.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'windows-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const VALUE = 'ab'.repeat(32)
const window = (agentId: string, until: string): Window => ({
  schema: 'towerkeep/window/v1',
  host: agentId,
  agent_id: agentId,
  until,
  pcrs: { '7': VALUE },
})
const PAST = '2026-01-01T00:00:00.000Z'
const LATER = '2100-01-01T00:00:00.000Z'

describe('a window', () => {
  it('is over at its end, and at once when that is no date', () => {
    const now = Date.parse('2026-06-01T00:00:00Z')
    expect([PAST, LATER, 'tomorrow'].map((until) => isOver({ until }, now))).toEqual([true, false, true])
  })

  it('that is taken back leaves the one that was there before', async () => {
    const signal = new AbortController().signal
    const first = windowStep(folder, window('node-1', PAST))
    await first.act(signal)
    const second = windowStep(folder, window('node-1', LATER))
    await second.act(signal)
    expect(openWindows(folder).map(({ until }) => until)).toEqual([LATER])
    await second.undo?.()
    expect(openWindows(folder).map(({ until }) => until)).toEqual([PAST])
    await first.undo?.()
    expect(openWindows(folder)).toEqual([])
  })

  it('is no file that a full disk cut short', () => {
    writeFileSync(join(folder, 'node-1.json.new'), '{"schema"')
    openWindow(folder, window('node-1', LATER))
    expect([openWindows(folder).length, existsSync(join(folder, 'node-1.json.new'))]).toEqual([1, false])
  })
})

describe('policy approve --due', () => {
  it('ends each window that is over, though another host cannot be enrolled anew and stays as it was', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    const [lost = '', well = ''] = site.keylime.nodes.map(({ agentId }) => agentId)
    const bare = { has_runtime_policy: 0, has_mb_refstate: 0, tpm_policy: `{"mask": "0x80", "7": ["00", "${VALUE}"]}` }
    for (const agentId of [lost, well]) site.keylime.verifier.set(agentId, { ...bare, ip: '127.0.0.9', port: 9_009 })
    site.keylime.registrar.remove(lost)
    const { ekTpm, akTpm } = site.keylime.node(1).tpm
    const keys = { ek_tpm: ekTpm.toString('base64'), aik_tpm: akTpm.toString('base64') }
    site.keylime.registrar.register({ agent_id: well, ...keys, mtls_cert: 'a certificate' })
    for (const agentId of [lost, well]) openWindow(join(site.folder, 'windows'), window(agentId, PAST))
    // The verifier's quotes, which pass as soon as the host is enrolled anew.
    const passing = setInterval(() => {
      try {
        site.keylime.verifier.set(well, { operational_state: 3, attestation_count: 1 })
      } catch {
        // It is out of the verifier for a moment.
      }
    }, 200)
    const done = await actAt(site, 'policy', 'approve', '--due', '--yes', '--windows', join(site.folder, 'windows'))
    clearInterval(passing)
    expect([done.exit, JSON.stringify(done.summary['messages'])]).toEqual([
      3,
      expect.stringContaining(`no registrar knows ${lost}`),
    ])
    expect(openWindows(join(site.folder, 'windows')).map(({ agent_id: id }) => id)).toEqual([lost])
    const shown = await towerkeep('policy', 'show', '--config', site.config, '--output', 'json')
    const { items } = JSON.parse(shown.stdout) as {
      readonly items: readonly { readonly agent_id: string; readonly host: string; readonly tpm_policy: string }[]
    }
    const of = (agentId: string) => items.find((item) => item.agent_id === agentId)
    // Polled where it was, which is not where it registered.
    expect([of(lost)?.tpm_policy, of(well)?.tpm_policy, of(well)?.host]).toEqual([
      bare.tpm_policy,
      JSON.stringify({ '7': [VALUE], mask: '0x80' }),
      '127.0.0.9',
    ])
  })
})
