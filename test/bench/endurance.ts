/**
 * Continuous attestation at a steady rate while everything around the plugin changes: no failure, flat memory, flat
 * descriptors.
 *
 * Usage: node test/bench/endurance.ts [--minutes 60] [--rate 20] [--out FOLDER]
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { attestOnce, type PluginProcess } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import type { FakeNode } from '../fakes/fake-node.ts'
import { tpmNode } from '../fakes/tpm-node.ts'
import { findContestants, TRUST_DOMAIN } from './contestants.ts'
import { Changes, HOURLY, type Periods } from './endurance-changes.ts'
import { drawEndurance, enduranceText } from './endurance-report.ts'
import { type EnduranceLook, type EnduranceResult, faultsOf } from './endurance-result.ts'
import { LoadWatch } from './machine-load.ts'
import { descriptorsOf, memoryOf } from './process-cost.ts'
import { withServer } from './server-run.ts'

/** How long, how fast, how many nodes in turn. */
export interface EnduranceOrder {
  readonly seconds: number
  /** Attestations begun each second, whether or not earlier ones have ended. */
  readonly rate: number
  readonly nodes: number
  /** How often what changes. */
  readonly periods: Periods
}

const LOOKS = 60

/** Every so many-th node quotes by itself. */
const TPM_EVIDENCE_EVERY = 4

/** As a SPIRE agent does, a node that could not be attested comes again. */
const COME_AGAIN_MS = 1_000
const MAX_TRIES = 20

/** Status UNAVAILABLE. */
const UNAVAILABLE = 14

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
    return await withServer(ours, keylime, (plugin) => new Run(plugin, keylime, order, onLook).done())
  } finally {
    await keylime.stop()
    rmSync(staged, { recursive: true, force: true })
  }
}

class Run {
  readonly #plugin: PluginProcess
  readonly #order: EnduranceOrder
  readonly #onLook: (text: string) => void
  readonly #nodes: readonly FakeNode[]
  readonly #changes: Changes
  readonly #failures: Record<string, number> = {}
  readonly #looks: EnduranceLook[] = []
  readonly #began = performance.now()
  #withTpmEvidence = 0
  readonly #load = new LoadWatch()
  #cameAgain = 0

  constructor(
    plugin: PluginProcess,
    keylime: FakeKeylimeProcess,
    order: EnduranceOrder,
    onLook: (text: string) => void,
  ) {
    this.#plugin = plugin
    this.#order = order
    this.#onLook = onLook
    this.#nodes = keylime.nodes.map((node, index) =>
      index % TPM_EVIDENCE_EVERY === 0 ? tpmNode(node, { trustDomain: TRUST_DOMAIN }) : node,
    )
    this.#changes = new Changes(plugin, keylime, order.periods)
  }

  async done(): Promise<EnduranceResult> {
    const { seconds, rate } = this.#order
    const underWay = new Set<Promise<void>>()
    const total = Math.round(seconds * rate)
    for (let index = 0; index < total; index += 1) {
      const late = performance.now() - this.#began - (index * 1_000) / rate
      if (late < 0) await delay(-late)
      this.#changes.look((performance.now() - this.#began) / 1_000)
      const one = this.#attest(index).finally(() => underWay.delete(one))
      underWay.add(one)
      if (index % Math.ceil(total / LOOKS) === 0) this.#look(index)
    }
    await Promise.all(underWay)
    await this.#changes.done()
    this.#look(total)
    return {
      attestations: total,
      withTpmEvidence: this.#withTpmEvidence,
      cameAgain: this.#cameAgain,
      changes: this.#changes.counts,
      failures: this.#failures,
      looks: this.#looks,
      load: this.#load.load,
    }
  }

  async #attest(index: number): Promise<void> {
    const slot = index % this.#nodes.length
    const node = this.#nodes[slot]
    if (node === undefined) throw new Error('the fake Keylime has no nodes')
    if (slot % TPM_EVIDENCE_EVERY === 0) this.#withTpmEvidence += 1
    for (let tries = 1; ; tries += 1) {
      try {
        await attestOnce(this.#plugin, { payload: node.payload(), answer: (challenge) => node.respond(challenge) })
        if (tries > 1) this.#cameAgain += 1
        return
      } catch (error) {
        if (!this.#mayComeAgain(error) || tries >= MAX_TRIES) {
          const message = error instanceof Error ? error.message : String(error)
          this.#failures[message] = (this.#failures[message] ?? 0) + 1
          return
        }
        await delay(COME_AGAIN_MS)
      }
    }
  }

  // Only where it is no fault of the plugin's: the verifier was away a moment ago.
  #mayComeAgain(error: unknown): boolean {
    return error instanceof Error && 'code' in error && error.code === UNAVAILABLE && this.#changes.wasVerifierAway()
  }

  #look(attestations: number): void {
    this.#load.look()
    const { pid } = this.#plugin
    const second = Math.round((performance.now() - this.#began) / 1_000)
    const seen = { second, attestations, rssMb: memoryOf(pid).rssMb, descriptors: descriptorsOf(pid) }
    this.#looks.push(seen)
    const { rssMb, descriptors } = seen
    this.#onLook(`${second} s: ${attestations} attestations, ${rssMb.toFixed(0)} MB RSS, ${descriptors} descriptors`)
  }
}

function tell(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      rate: { type: 'string', default: '20' },
      out: { type: 'string', default: join(import.meta.dirname, '..', '..', '.tmp', 'soak') },
    },
  })
  const seconds = Number(values.minutes) * 60
  const result = await endure({ seconds, rate: Number(values.rate), nodes: 256, periods: HOURLY }, tell)
  const faults = faultsOf(result)
  mkdirSync(values.out, { recursive: true })
  writeFileSync(join(values.out, 'soak.json'), `${JSON.stringify(result, null, 2)}\n`)
  writeFileSync(join(values.out, 'soak.svg'), drawEndurance(result))
  writeFileSync(join(values.out, 'soak.md'), enduranceText(result, faults))
  tell(enduranceText(result, faults))
  process.exitCode = faults.length === 0 ? 0 : 1
}

if (process.argv[1] === import.meta.filename) await main()
