/**
 * Part (d): starting, first answer, idling, ending.
 *
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { attestOnce } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylimeProcess, spawnFakeKeylime } from '../fakes/fake-keylime-process.ts'
import { type Contestant, prepareHalf, type Side, startHalf } from './contestants.ts'
import { memoryOf } from './process-cost.ts'
import type { Scale } from './scale.ts'

/** One life of a server plugin. */
export interface LifeResult {
  readonly side: Side
  /** Spawn to the handshake line. */
  readonly handshakeMs: number
  /** Spawn to the end of the first attestation, Init and Configure on the way. */
  readonly firstAnswerMs: number
  /** Shutdown to the end of the process. */
  readonly exitMs: number
  /** After Configure, before any attestation. */
  readonly idleRssMb: number
  readonly idlePssMb: number
  readonly idleAnonMb: number
}

/**
 * Part (d): lives of the server half, contestants taking turns.
 *
 * @returns One result for each life.
 */
export async function lives(
  contestants: readonly Contestant[],
  scale: Scale,
  tell: (text: string) => void,
): Promise<LifeResult[]> {
  const keylime = await spawnFakeKeylime({ nodes: 1, tlsKeys: 'rsa-2048' })
  const results: LifeResult[] = []
  try {
    for (let launch = 0; launch < scale.launches; launch += 1) {
      for (const contestant of launch % 2 === 0 ? contestants : contestants.toReversed()) {
        results.push(await live(contestant, keylime, scale))
      }
    }
  } finally {
    await keylime.stop()
  }
  for (const { side } of contestants) {
    const own = results.filter((result) => result.side === side)
    const mean = own.reduce((sum, { handshakeMs }) => sum + handshakeMs, 0) / Math.max(1, own.length)
    tell(`${side}: ${own.length} lives, handshake after ${mean.toFixed(0)} ms on average`)
  }
  return results
}

async function live(contestant: Contestant, keylime: FakeKeylimeProcess, scale: Scale): Promise<LifeResult> {
  const node = keylime.nodes[0]
  if (node === undefined) throw new Error('the fake Keylime has no nodes')
  const startedAt = performance.now()
  const plugin = await startHalf(contestant, 'server')
  await prepareHalf(plugin, 'server', keylime.ready.serverHcl)
  await attestOnce(plugin, { payload: node.payload(), answer: (challenge) => node.respond(challenge) })
  const firstAnswerMs = performance.now() - startedAt
  const endedAt = performance.now()
  await plugin.shutdown()
  const exitMs = performance.now() - endedAt
  return {
    side: contestant.side,
    handshakeMs: plugin.startMs,
    firstAnswerMs,
    exitMs,
    ...(await idle(contestant, keylime, scale)),
  }
}

/** Memory of a plugin that is configured and then left alone. */
async function idle(
  contestant: Contestant,
  keylime: FakeKeylimeProcess,
  scale: Scale,
): Promise<{ readonly idleRssMb: number; readonly idlePssMb: number; readonly idleAnonMb: number }> {
  const plugin = await startHalf(contestant, 'server')
  try {
    await prepareHalf(plugin, 'server', keylime.ready.serverHcl)
    await sleep(scale.idleSeconds * 1000)
    const { rssMb, pssMb, anonMb } = memoryOf(plugin.pid)
    return { idleRssMb: rssMb, idlePssMb: pssMb, idleAnonMb: anonMb }
  } finally {
    await plugin.shutdown()
  }
}
