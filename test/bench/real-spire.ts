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
import { type LoadResult, load } from './load.ts'
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

async function burst(
  contestant: Contestant,
  keylime: FakeKeylimeProcess,
  binDir: string,
  scale: Scale,
): Promise<Omit<SpireResult, 'side' | 'round'>> {
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
    const plugin = { pid: childOf(spirePid) }
    await load(plugin, { inFlight: 8, attestations: scale.warmUp, seconds: 2 }, attest)
    const before = cpuSeconds(spirePid)
    const result = await load(
      plugin,
      { inFlight: IN_FLIGHT, attestations: scale.attestations, seconds: scale.seconds },
      attest,
    )
    const spireCpuMs = ((cpuSeconds(spirePid) - before) * 1000) / Math.max(1, result.attestations)
    client.close()
    return { ...result, spireCpuMs }
  } finally {
    await processes.stopAll()
    rmSync(dir, { recursive: true, force: true })
  }
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
