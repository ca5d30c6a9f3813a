/**
 * Feeds one target in a thread of its own, so that the parent sees an input that never ends.
 *
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type FuzzTarget, mutantOf } from './fuzz-target.ts'
import type { Finding, FuzzOrder, FuzzReport } from './run.ts'
import { TARGETS } from './targets.ts'

const MAX_FINDINGS = 20

/** This thread's CPU time in milliseconds, so that a busy machine makes no input look slow; wall time before Node 24. */
function clock(): number {
  if (typeof process.threadCpuUsage !== 'function') return performance.now()
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function feed(target: FuzzTarget, order: FuzzOrder): FuzzReport {
  const progress = new Int32Array(order.progress)
  const counts = { accepted: 0, refused: 0 }
  const findings: Finding[] = []
  const deadline = performance.now() + order.maxSeconds * 1000
  let slowest = 0
  let done = 0
  for (; done < order.mutants && findings.length < MAX_FINDINGS && performance.now() < deadline; done += 1) {
    Atomics.store(progress, 0, done)
    const input = mutantOf(target, order.seed, done)
    const start = clock()
    const found = (problem: string): void => {
      findings.push({ index: done, problem, input: input.toString('base64') })
    }
    try {
      counts[target.run(input)] += 1
    } catch (error) {
      found(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    const took = clock() - start
    slowest = Math.max(slowest, took)
    if (took > target.maxMs) found(`took ${Math.round(took)} ms`)
  }
  return { done, ...counts, slowestMs: slowest, findings }
}

const order = workerData as FuzzOrder
const target = TARGETS.find(({ name }) => name === order.target)
if (target === undefined) throw new Error(`no fuzz target ${order.target}`)
// A thread has no origin to name.
// oxlint-disable-next-line unicorn/require-post-message-target-origin
parentPort?.postMessage(feed(target, order))
