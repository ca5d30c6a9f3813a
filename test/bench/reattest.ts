/**
 * Re-attestations of one node with evidence from its TPM, through a real spire-server and spire-agent, beside its Keylime
 * agent: how long each takes, and whether anything fails or is left in the TPM on the way.
 *
 *     node test/bench/reattest.ts [--rounds 1000] [--mode push]
 *
 * @module
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { FIRST_HANDLE, getHandles } from '@tower-of-omens/tpm/commands'
import { Tpm } from '@tower-of-omens/tpm-device'
import { QUICK_SYNC, reattest } from '../lab/one-host/reattest.ts'
import { Rig } from '../lab/one-host/rig.ts'
import { prepareParts } from '../lab/parts/prepare.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { percentile } from './statistics.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '1000' }, mode: { type: 'string', default: 'pull' } },
})
const rounds = Number(values.rounds)
const mode = values.mode === 'push' ? 'push' : 'pull'

async function main(): Promise<void> {
  const metrics = await freePorts()
  const rig = await Rig.start({
    name: 'reattest',
    parts: await prepareParts(process.stdout, true),
    evidence: 'tpm',
    mode,
    server: { blocks: { telemetry: { Prometheus: { host: '127.0.0.1', port: metrics } } } },
    agent: { syncInterval: QUICK_SYNC },
  })
  try {
    await rig.enrol()
    rig.spireAgent.start()
    await rig.spireAgent.healthy()
    const before = await countsOf(rig)
    const began = performance.now()
    const times = await reattest(rig, rounds)
    const seconds = (performance.now() - began) / 1000
    const whole = await spireTime(metrics)
    await rig.keylime.admin.waitForQuotes(rig.agentId, before.quotes)
    const after = await countsOf(rig)
    const at = (percent: number): number => percentile(times, percent)
    print(`mode ${mode}, ${times.length} re-attestations in ${Math.round(seconds)} s`)
    print(`ms in the server half: p50 ${at(50)}, p90 ${at(90)}, p99 ${at(99)}, max ${at(100)}`)
    print(`ms of the whole AttestAgent call, SVID included, by SPIRE's own metric: p50 ${whole.p50}, p90 ${whole.p90}`)
    print(`refused or failed: ${failures(rig)}`)
    print(`keylime agent: ${after.quotes - before.quotes} quotes meanwhile, ${after.status}`)
    print(`transient objects in the TPM: ${before.objects} before, ${after.objects} after`)
    print(
      `load average ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}`,
    )
  } finally {
    await rig.stop()
  }
}

async function countsOf(rig: Rig): Promise<{ objects: number; quotes: number; status: string }> {
  const tpm = await Tpm.open({ path: rig.tpm.path, timeoutMs: 15_000 })
  try {
    const record = await rig.keylime.admin.enrolled(rig.agentId)
    return {
      objects: (await tpm.run(getHandles(FIRST_HANDLE.transient))).length,
      quotes: record?.attestationCount ?? 0,
      status: record?.attestationStatus ?? 'unknown',
    }
  } finally {
    await tpm.close()
  }
}

/** Reads what spire-server has measured of its last `AttestAgent` calls. */
async function spireTime(port: number): Promise<{ readonly p50: string; readonly p90: string }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const of = (quantile: string): string => {
    const line = new RegExp(`attest_agent_elapsed_time\\{[^}]*quantile="${quantile}"[^}]*\\} (\\S+)`).exec(text)
    return Number(line?.[1]).toFixed(1)
  }
  return { p50: of('0.5'), p90: of('0.9') }
}

function failures(rig: Rig): number {
  const log = rig.spireServer.readLog()
  return log.match(/Node refused|Attestation failed|Node not attested yet/g)?.length ?? 0
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
