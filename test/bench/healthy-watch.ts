/**
 * Half an hour of a healthy tower under `towerkeep watch`: nobody is evicted, nothing is found, memory and descriptors stay
 * flat, and with agents whose SVIDs live a minute no workload is ever without its own. Writes docs/bench/healthy.md.
 *
 * Usage: node test/bench/healthy-watch.ts [--minutes 30]
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { getAgent, SpireConnection } from '@tower-of-omens/spire-api'
import * as v from 'valibot'
import { STATUS_DOCUMENT } from '../../operator/schemas/reading.ts'
import { prepareParts } from '../lab/parts/prepare.ts'
import { requireTowerTools } from '../lab/parts/tower-programs.ts'
import { WorkloadStream } from '../lab/services/workload-stream.ts'
import type { TowerHost } from '../lab/tower/host.ts'
import { type Keeper, runTowerkeep, startKeeper } from '../lab/tower/keeping.ts'
import { Tower } from '../lab/tower/tower.ts'
import { LoadWatch, loadInWords, type MachineLoad } from './machine-load.ts'
import { descriptorsOf, memoryOf } from './process-cost.ts'
import { percentile } from './statistics.ts'

const PAGE = join(resolve(import.meta.dirname, '../..'), 'docs/bench/healthy.md')
const DATA = PAGE.replace(/\.md$/, '.json')

/** Time between two looks at the workloads; at the daemon and by `status`. */
const LOOK_MS = 1_000
const STATUS_MS = 30_000

/** In the last quarter memory may be this much above the second one: the first is the engine's warming up. */
const MAX_GROWTH = 1.15
const MAX_MORE_DESCRIPTORS = 8

/** One look at the daemon. */
interface DaemonLook {
  readonly second: number
  readonly rssMb: number
  readonly descriptors: number
}

/** What happened to one host. */
interface HostHealth {
  readonly name: string
  /** Agent SVIDs that SPIRE noted. */
  agentSvids: number
  /** X509-SVIDs that its workload was served. */
  workloadSvids: number
  /** Looks at which the workload had no valid SVID, or its stream was broken. */
  gaps: number
}

/** What a run came to. */
interface HealthyResult {
  readonly at: string
  readonly minutes: number
  readonly spire: string
  readonly agentTtlSeconds: number
  readonly load: MachineLoad
  /** Lines of the audit log: whatever the daemon decided. */
  readonly decisions: number
  /** IDs of findings, and exits of `status` other than 0. */
  readonly findings: readonly string[]
  readonly statusLooks: number
  readonly hosts: readonly HostHealth[]
  readonly looks: readonly DaemonLook[]
  readonly faults: readonly string[]
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '30' } } })
  const parts = { ...(await prepareParts(process.stderr)), ...(await requireTowerTools(process.stderr)) }
  const spire = /spire-([\d.]+)/.exec(parts.spireBin)?.[1] ?? '?'
  const tower = await Tower.up({ parts, prefix: 'twheal', webhook: true, onPart: tell })
  try {
    const keeper = await startKeeper(tower)
    const result = await watchHealthy(tower, keeper, { minutes: Number(values.minutes), spire })
    writeFileSync(DATA, `${JSON.stringify(result, null, 2)}\n`)
    writeFileSync(PAGE, pageOf(result))
    for (const fault of result.faults) tell(fault)
    tell(`wrote ${PAGE}`)
    process.exitCode = result.faults.length === 0 ? 0 : 1
  } finally {
    await tower.down()
  }
}

async function watchHealthy(
  tower: Tower,
  keeper: Keeper,
  { minutes, spire }: { readonly minutes: number; readonly spire: string },
): Promise<HealthyResult> {
  const connection = new SpireConnection({ socketPath: tower.spire.socketPath })
  const watched = [...tower.hosts.values()].map((host) => new HealthyHost(host, connection))
  const load = new LoadWatch()
  const looks: DaemonLook[] = []
  const findings = new Set<string>()
  let statusLooks = 0
  await Promise.all(watched.map((host) => host.ready))
  const began = performance.now()
  const elapsed = (): number => performance.now() - began
  while (elapsed() < minutes * 60_000) {
    const round = elapsed()
    await Promise.all(watched.map((host) => host.look()))
    if (round >= statusLooks * STATUS_MS) {
      statusLooks += 1
      load.look()
      for (const found of await foundBy(tower)) findings.add(found)
      looks.push(lookAt(keeper, round))
      tell(`${Math.round(round / 1000)} s: ${looks.at(-1)?.rssMb} MB, ${looks.at(-1)?.descriptors} descriptors`)
    }
    await delay(Math.max(0, LOOK_MS - (elapsed() - round)))
  }
  for (const host of watched) host.close()
  connection.close()
  const hosts = watched.map(({ health }) => health)
  const facts = { decisions: decisionsIn(keeper.auditFile), findings: [...findings], hosts, looks }
  return {
    at: new Date().toISOString(),
    minutes,
    spire,
    agentTtlSeconds: 60,
    load: load.load,
    ...facts,
    statusLooks,
    faults: faultsOf(facts, minutes),
  }
}

/** One host, its agent and a workload, looked at again and again. */
class HealthyHost {
  readonly health: HostHealth
  readonly #host: TowerHost
  readonly #spire: SpireConnection
  readonly #stream: WorkloadStream
  #serial = ''

  constructor(host: TowerHost, spire: SpireConnection) {
    this.#host = host
    this.#spire = spire
    this.#stream = new WorkloadStream(host.spire.target.socketPath)
    this.health = { name: host.name, agentSvids: 0, workloadSvids: 0, gaps: 0 }
  }

  /** Settles when the workload has its first SVID. */
  get ready(): Promise<void> {
    return this.#stream.first
  }

  async look(): Promise<void> {
    const agent = await getAgent(this.#spire, this.#host.spiffeId)
    if (agent !== undefined && agent.serialNumber !== this.#serial) {
      this.#serial = agent.serialNumber
      this.health.agentSvids += 1
    }
    this.health.workloadSvids = this.#stream.updates
    if (!this.#stream.isServed || agent === undefined || agent.banned) this.health.gaps += 1
  }

  close(): void {
    this.#stream.close()
  }
}

async function foundBy(tower: Tower): Promise<readonly string[]> {
  const { code, stdout } = await runTowerkeep(tower, ['status', '--output', 'json'])
  const { findings } = v.parse(STATUS_DOCUMENT, JSON.parse(stdout))
  return [...findings.map(({ id }) => id), ...(code === 0 ? [] : [`exit ${code}`])]
}

function lookAt({ process: daemon }: Keeper, ms: number): DaemonLook {
  return {
    second: Math.round(ms / 1000),
    rssMb: Math.round(memoryOf(daemon.pid).rssMb * 10) / 10,
    descriptors: descriptorsOf(daemon.pid),
  }
}

/** Counts what the daemon decided; that its sources answer is no decision. */
function decisionsIn(auditFile: string): number {
  const lines = readFileSync(auditFile, 'utf8').split('\n').filter(Boolean)
  return lines.filter((line) => !/"event":"source_(up|down)"/.test(line)).length
}

function faultsOf(
  { decisions, findings, hosts, looks }: Pick<HealthyResult, 'decisions' | 'findings' | 'hosts' | 'looks'>,
  minutes: number,
): readonly string[] {
  const faults: string[] = []
  if (decisions > 0) faults.push(`the daemon decided ${decisions} things about healthy hosts`)
  if (findings.length > 0) faults.push(`status found ${findings.join(', ')}`)
  for (const { name, gaps, agentSvids } of hosts) {
    if (gaps > 0) faults.push(`${name}: ${gaps} looks without a valid SVID`)
    // Half of a life of 60 s is when an agent renews; one a minute is the least that can be without a gap.
    if (agentSvids < minutes) faults.push(`${name}: only ${agentSvids} agent SVIDs in ${minutes} minutes`)
  }
  const [before, after] = [typical(looks, 1), typical(looks, 3)]
  if (after.rssMb > before.rssMb * MAX_GROWTH) faults.push(`memory grew from ${before.rssMb} to ${after.rssMb} MB`)
  if (after.descriptors > before.descriptors + MAX_MORE_DESCRIPTORS)
    faults.push(`descriptors grew from ${before.descriptors} to ${after.descriptors}`)
  return faults
}

/** Takes the medians of one quarter of the run, from 0. */
function typical(looks: readonly DaemonLook[], quarter: number): Pick<DaemonLook, 'rssMb' | 'descriptors'> {
  const part = looks.slice(Math.floor((looks.length * quarter) / 4), Math.ceil((looks.length * (quarter + 1)) / 4))
  return {
    rssMb: percentile(
      part.map(({ rssMb }) => rssMb),
      50,
    ),
    descriptors: percentile(
      part.map(({ descriptors }) => descriptors),
      50,
    ),
  }
}

function pageOf(result: HealthyResult): string {
  const { minutes, hosts, looks, load } = result
  const rows = hosts.map(
    ({ name, agentSvids, workloadSvids, gaps }) => `| ${name} | ${agentSvids} | ${workloadSvids} | ${gaps} |`,
  )
  const tenth = Math.max(1, Math.floor(looks.length / 10))
  const shown = looks.filter((_, index) => index % tenth === 0)
  const memory = shown.map(({ second, rssMb, descriptors }) => `| ${second} | ${rssMb} | ${descriptors} |`)
  return `# ${minutes} minutes of a healthy tower

Written by \`node test/bench/healthy-watch.ts\`: three hosts, real SPIRE ${result.spire}, real Keylime, software TPMs; SVIDs of
agents and of workloads live ${result.agentTtlSeconds} s; \`towerkeep watch\` in mode \`ban\`; ${loadInWords(load)}.

What the daemon decided: ${result.decisions}. Findings of \`towerkeep status\` in ${result.statusLooks} looks: ${result.findings.join(', ') || 'none'}.
Faults: ${result.faults.join('; ') || 'none'}.

A workload of each host keeps its stream open; each second it is asked whether it has a valid SVID.

| host | SVIDs of the agent | SVIDs of the workload | seconds without |
|---|---|---|---|
${rows.join('\n')}

The daemon's memory and descriptors:

| second | resident MB | descriptors |
|---|---|---|
${memory.join('\n')}
`
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

await main()
