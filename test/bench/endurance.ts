/**
 * Continuous attestation at a steady rate: no failure, flat memory, flat descriptors.
 *
 * Usage: node test/bench/endurance.ts [--minutes 30] [--rate 20]
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { attestOnce, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { findContestants } from './contestants.ts'
import { descriptorsOf, memoryOf } from './process-cost.ts'
import { withServer } from './server-run.ts'

/** How long, how fast, how many nodes in turn. */
export interface EnduranceOrder {
  readonly seconds: number
  /** Attestations begun each second, whether or not earlier ones have ended. */
  readonly rate: number
  readonly nodes: number
}

/** One look at the plugin. */
export interface EnduranceLook {
  readonly second: number
  readonly attestations: number
  readonly rssMb: number
  readonly descriptors: number
}

/** What a run came to. */
export interface EnduranceResult {
  readonly attestations: number
  /** Messages of those that failed, with their number. */
  readonly failures: ReadonlyMap<string, number>
  readonly looks: readonly EnduranceLook[]
}

const LOOKS = 30

/** Memory may still settle while the engine warms up; after a third of the run it must stay within this share. */
const MAX_GROWTH = 1.15
const MAX_MORE_DESCRIPTORS = 8

/**
 * Attests at a steady rate.
 *
 * @param onLook Hears each look.
 */
export async function endure(order: EnduranceOrder, onLook: (text: string) => void): Promise<EnduranceResult> {
  const staged = mkdtempSync(join(tmpdir(), 'endurance-'))
  const keylime = await spawnFakeKeylime({ nodes: order.nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  try {
    const [ours] = findContestants(join(import.meta.dirname, '..', '..', 'dist'), staged)
    if (ours === undefined) throw new Error('there is no plugin to run')
    return await withServer(ours, keylime, (plugin) => run(plugin, keylime, order, onLook))
  } finally {
    await keylime.stop()
    rmSync(staged, { recursive: true, force: true })
  }
}

async function run(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  order: EnduranceOrder,
  onLook: (text: string) => void,
): Promise<EnduranceResult> {
  const failures = new Map<string, number>()
  const looks: EnduranceLook[] = []
  const underWay = new Set<Promise<void>>()
  const total = Math.round(order.seconds * order.rate)
  const began = performance.now()
  for (let index = 0; index < total; index += 1) {
    const late = performance.now() - began - (index * 1_000) / order.rate
    if (late < 0) await delay(-late)
    const one = attestNode(plugin, keylime, index, failures).finally(() => underWay.delete(one))
    underWay.add(one)
    if (index % Math.ceil(total / LOOKS) === 0) looks.push(look(plugin, index, began, onLook))
  }
  await Promise.all(underWay)
  looks.push(look(plugin, total, began, onLook))
  return { attestations: total, failures, looks }
}

async function attestNode(
  plugin: PluginProcess,
  keylime: FakeKeylimeProcess,
  index: number,
  failures: Map<string, number>,
): Promise<void> {
  const node = keylime.nodes[index % keylime.nodes.length]
  if (node === undefined) throw new Error('the fake Keylime has no nodes')
  try {
    await attestOnce(plugin, { payload: node.payload(), answer: (challenge) => node.respond(challenge) })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    failures.set(message, (failures.get(message) ?? 0) + 1)
  }
}

function look(
  plugin: PluginProcess,
  attestations: number,
  began: number,
  onLook: (text: string) => void,
): EnduranceLook {
  const second = Math.round((performance.now() - began) / 1_000)
  const seen = { second, attestations, rssMb: memoryOf(plugin.pid).rssMb, descriptors: descriptorsOf(plugin.pid) }
  onLook(`${second} s: ${attestations} attestations, ${seen.rssMb.toFixed(0)} MB RSS, ${seen.descriptors} descriptors`)
  return seen
}

/**
 * Says what is wrong with a run.
 *
 * @returns One line for each fault; none when it held.
 */
export function faultsOf(result: EnduranceResult): readonly string[] {
  const faults = [...result.failures].map(([message, count]) => `${count} attestations failed: ${message}`)
  const settled = result.looks.slice(Math.floor(result.looks.length / 3))
  const [first] = settled
  const last = settled.at(-1)
  if (first === undefined || last === undefined) return [...faults, 'nobody looked at the plugin']
  if (last.rssMb > first.rssMb * MAX_GROWTH)
    faults.push(`memory grew from ${first.rssMb.toFixed(0)} to ${last.rssMb.toFixed(0)} MB`)
  if (last.descriptors > first.descriptors + MAX_MORE_DESCRIPTORS) {
    faults.push(`descriptors grew from ${first.descriptors} to ${last.descriptors}`)
  }
  return faults
}

function tell(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string', default: '30' }, rate: { type: 'string', default: '20' } },
  })
  const result = await endure({ seconds: Number(values.minutes) * 60, rate: Number(values.rate), nodes: 256 }, tell)
  const faults = faultsOf(result)
  for (const fault of faults) tell(fault)
  tell(
    `${result.attestations} attestations, ${[...result.failures.values()].reduce((sum, count) => sum + count, 0)} failed`,
  )
  process.exitCode = faults.length === 0 ? 0 : 1
}

if (process.argv[1] === import.meta.filename) await main()
