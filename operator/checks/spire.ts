/**
 * Checks of SPIRE: is somebody there to cut a host off, how fast does it take effect, can it be watched.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { parseDuration } from '@tower-of-omens/spire-sdk/hcl'
import { type Finding, finding } from '../findings/finding.ts'
import { rubbishIn } from '../rubbish/kinds.ts'
import { valueOf } from '../sources/state.ts'
import { sourceFindings } from '../status/findings.ts'
import type { Check } from './check.ts'
import type { View } from './view.ts'

/** The longest sync for which the cut-off promised holds, milliseconds. */
const PROMISED_SYNC_MS = 2_000
const DEFAULT_SYNC_MS = 5_000

/** The checks. */
export const SPIRE_CHECKS: readonly Check[] = [
  {
    id: 'spire-sources',
    area: 'spire',
    finds: ['TK-SRC-VERIFIER', 'TK-SRC-REGISTRAR', 'TK-SRC-SPIRE'],
    needs: 'verifier, registrar, SPIRE server',
    blind: 'nothing',
    run: ({ fleet, site }) =>
      // A machine that is only a node has no way to the services, and needs none.
      site.spireServer === undefined && site.verifier === undefined && site.tenant === undefined
        ? []
        : sourceFindings(fleet),
  },
  {
    id: 'spire-cutoff',
    area: 'spire',
    finds: ['TK-SPIRE-CUTOFF'],
    needs: 'the processes of this machine, /etc/towerkeep.hcl',
    blind: 'a watch on another machine',
    run: cutoffFindings,
  },
  {
    id: 'spire-sync',
    area: 'spire',
    finds: ['TK-SPIRE-SLOW'],
    needs: 'agent.conf',
    blind: 'agents of other machines',
    run: syncFindings,
  },
  {
    id: 'spire-telemetry',
    area: 'spire',
    finds: ['TK-SPIRE-TELEMETRY'],
    needs: 'server.conf',
    blind: 'whether somebody reads the metrics',
    run: ({ site }) =>
      site.spireServer === undefined || site.spireServer.node('telemetry') !== undefined
        ? []
        : [finding('TK-SPIRE-TELEMETRY', { subject: site.spireServer.file, message: 'has no telemetry block' })],
  },
  {
    id: 'spire-rubbish',
    area: 'spire',
    finds: ['TK-GC-RUBBISH'],
    needs: 'verifier, registrar, SPIRE server',
    blind: 'aliases that nobody matches: gc reads selectors',
    run: rubbishFindings,
  },
]

function cutoffFindings({ site, procFolder }: View): readonly Finding[] {
  if (site.spireServer === undefined) return []
  const mode = watchMode(procFolder) ?? undefined
  if (mode === undefined) {
    return [finding('TK-SPIRE-CUTOFF', { subject: 'towerkeep watch', message: 'does not run on this machine' })]
  }
  const acting = mode === 'configured' ? site.towerkeep.values.watch?.mode : mode
  return acting === 'ban' || acting === 'evict'
    ? []
    : [
        finding('TK-SPIRE-CUTOFF', {
          subject: 'towerkeep watch',
          message: 'runs in mode observe: it says what it would do',
        }),
      ]
}

// The mode on the command line of a running `towerkeep watch`, or `configured`.
function watchMode(procFolder: string): string | undefined {
  const own = namespaceOf(procFolder, 'self')
  for (const pid of readdirSync(procFolder).filter((name) => /^\d+$/.test(name))) {
    if (namespaceOf(procFolder, pid) !== own) continue
    const words = wordsOf(join(procFolder, pid, 'cmdline'))
    const at = words.indexOf('watch')
    if (at < 1 || !words.slice(0, at).some((word) => /towerkeep|operator\/main\.ts/.test(word))) continue
    const named = words.indexOf('--mode')
    return named > 0
      ? (words[named + 1] ?? 'observe')
      : (words.find((word) => word.startsWith('--mode='))?.slice(7) ?? 'configured')
  }
  return undefined
}

// What runs in another network is another machine's, even if it can be seen.
function namespaceOf(procFolder: string, pid: string): string | undefined {
  try {
    return readlinkSync(join(procFolder, pid, 'ns', 'net'))
  } catch {
    return undefined
  }
}

function wordsOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\0')
  } catch {
    return []
  }
}

function syncFindings({ site }: View): readonly Finding[] {
  const { spireAgent } = site
  if (spireAgent === undefined) return []
  const found = spireAgent.text('agent', 'experimental', 'sync_interval')
  const parsed = found === undefined ? DEFAULT_SYNC_MS : parseDuration(found.value)
  if (typeof parsed === 'string' || parsed <= PROMISED_SYNC_MS) return []
  const message = `sync_interval is ${found?.value ?? '5s by default'}: a host that is cut off keeps its Workload API for up to ${Math.round((parsed * 1.1) / 100) / 10} s`
  return [finding('TK-SPIRE-SLOW', { subject: found?.from ?? spireAgent.file, message, evidence: { sync_ms: parsed } })]
}

function rubbishFindings(view: View): readonly Finding[] {
  const entries = valueOf(view.entries)
  const { registrar, verifier, spire } = view.fleet.failed
  if (entries === undefined || [registrar, verifier, spire].some((failed) => failed !== undefined)) return []
  const found = rubbishIn({ ...view, agents: [], entries })
  if (found.length === 0) return []
  const kinds = [...new Set(found.map(({ kind }) => kind))]
  const counts = kinds.map((kind) => `${found.filter((one) => one.kind === kind).length} ${kind}`)
  return [
    finding('TK-GC-RUBBISH', {
      subject: `${found.length} records`,
      message: counts.join(', '),
      evidence: { count: found.length },
      command: 'towerkeep gc',
    }),
  ]
}
