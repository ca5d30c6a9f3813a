/**
 * Part (e): a real spire-server with each server half, its rate limit off.
 *
 * @module
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHcl } from '../../plugins/spire-sdk/hcl/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { requireSpire, spireMustBeBuilt } from '../lab/parts/spire.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { Processes } from '../lab/processes/processes.ts'
import type { ConfObject, ConfValue } from '../lab/services/hcl-text.ts'
import { SpireServer } from '../lab/services/spire-server.ts'
import { type Contestant, type Side, TRUST_DOMAIN } from './contestants.ts'
import { type LoadOrder, type LoadResult, load } from './load.ts'
import { cpuSeconds } from './process-cost.ts'
import type { Scale } from './scale.ts'
import { describe, type Tell, turns } from './server-run.ts'
import { openSpireClient } from './spire-client.ts'

/** One burst of attestations through SPIRE. CPU per attestation is the plugin's, memory too. */
export interface SpireResult extends LoadResult {
  readonly side: Side
  readonly round: number
  /** CPU time of spire-server itself, per attestation. */
  readonly spireCpuMs: number
}

const IN_FLIGHT = 32

/**
 * Measures attestations per second, SVID included, through a real spire-server.
 *
 * @param contestants Whose server halves; only executables, since SPIRE starts the plugin.
 * @returns One result for each round and contestant; none where SPIRE is not there.
 */
export async function throughSpire(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: Tell,
): Promise<SpireResult[]> {
  if (spireMustBeBuilt()) {
    tell('real SPIRE: left out, it is not built yet (`make demo` builds it, or set SPIRE_BIN_DIR)')
    return []
  }
  const binDir = await requireSpire({ update: tell, done: tell, failed: () => undefined })
  const able = contestants.filter(({ programs }) => programs.server.args.length === 0)
  const keylime = await spawnFakeKeylime({ nodes: scale.nodes, ak: 'ec-p256', tlsKeys: 'rsa-2048' })
  const results: SpireResult[] = []
  try {
    for (let round = 0; round < scale.spireRounds; round += 1) {
      for (const contestant of turns(able, round)) {
        const result = await burst(contestant, keylime, binDir, scale)
        results.push({ ...result, side: contestant.side, round })
        tell(`${contestant.side}, real SPIRE, round ${round + 1}: ${describe(result)}`)
      }
    }
  } finally {
    await keylime.stop()
  }
  return results
}

/** A spire-server that has started a plugin, and a way to attest through it. */
export interface SpireUnderTest {
  readonly spirePid: number
  readonly pluginPid: number
  /** Attests the n-th node, the first again after the last. */
  readonly attest: (index: number) => Promise<void>
}

/**
 * Starts a real spire-server with a server half, and ends both after their use.
 *
 * @param binDir From `requireSpire`.
 * @returns What `use` returns.
 */
export async function withSpire<T>(
  contestant: Contestant,
  keylime: FakeKeylimeProcess,
  binDir: string,
  use: (spire: SpireUnderTest) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-spire-'))
  const processes = new Processes(dir, dir)
  try {
    const server = await SpireServer.configure(processes, {
      dir,
      binDir,
      port: await freePorts(),
      trustDomain: TRUST_DOMAIN,
      plugin: { command: contestant.programs.server.command, data: confOf(keylime.ready.serverHcl) },
      more: { log_level: 'WARN' },
    })
    await server.start()
    const spirePid = server.process().pid
    const client = await openSpireClient(server.socketPath)
    const attest = (index: number): Promise<void> => {
      const node = keylime.nodes[index % keylime.nodes.length]
      if (node === undefined) throw new Error('the fake Keylime has no nodes')
      return client.attest(node)
    }
    try {
      return await use({ spirePid, pluginPid: childOf(spirePid), attest })
    } finally {
      client.close()
    }
  } finally {
    await processes.stopAll()
    rmSync(dir, { recursive: true, force: true })
  }
}

function burst(
  contestant: Contestant,
  keylime: FakeKeylimeProcess,
  binDir: string,
  scale: Scale,
): Promise<Omit<SpireResult, 'side' | 'round'>> {
  return withSpire(contestant, keylime, binDir, async ({ spirePid, pluginPid, attest }) => {
    const plugin = { pid: pluginPid }
    await load(plugin, { inFlight: 8, attestations: scale.warmUp, seconds: 2 }, attest)
    return measured(
      plugin,
      spirePid,
      { inFlight: IN_FLIGHT, attestations: scale.attestations, seconds: scale.seconds },
      attest,
    )
  })
}

/**
 * Loads a plugin through its spire-server.
 *
 * @returns The load's result, with the CPU time of spire-server for each attestation.
 */
export async function measured(
  plugin: { readonly pid: number },
  spirePid: number,
  order: LoadOrder,
  attest: (index: number) => Promise<void>,
): Promise<LoadResult & { readonly spireCpuMs: number }> {
  const before = cpuSeconds(spirePid)
  const result = await load(plugin, order, attest)
  const spireCpuMs = ((cpuSeconds(spirePid) - before) * 1000) / Math.max(1, result.attestations)
  return { ...result, spireCpuMs }
}

/** The plugin that a spire-server has started: its only child. */
function childOf(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`)
  const children = tasks.flatMap((task) => {
    const file = `/proc/${pid}/task/${task}/children`
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean) : []
  })
  const [child] = children
  if (child === undefined) throw new Error('spire-server has not started the plugin')
  return Number(child)
}

/** The flat `plugin_data` text of a fake Keylime as the object that the rig writes into server.conf. */
function confOf(hcl: string): ConfObject {
  const entries = parseHcl(hcl).entries.map(({ key, value }): [string, ConfValue] => {
    if (value.kind === 'string' || value.kind === 'boolean') return [key.text, value.value]
    if (value.kind === 'number') return [key.text, Number(value.text)]
    throw new Error(`the bench does not know how to pass on ${key.text}`)
  })
  return Object.fromEntries(entries)
}
