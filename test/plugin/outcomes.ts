// Many attestations at once: running them, and counting how they ended.
import type { FakeNode } from '../fakes/fake-node.ts'
import type { Outcome } from './half-process.ts'
import type { ServerPlugin } from './server-plugin.ts'

/** Counts outcomes by status and message. */
export function summary(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, message } of outcomes) {
    const name = `${status} ${message}`.trim()
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** Attests without pause, some nodes at a time, until told to stop. */
export function keepAttesting(
  plugin: ServerPlugin,
  nodes: readonly FakeNode[],
): {
  stop(): Promise<readonly Outcome[]>
  readonly done: () => number
} {
  const outcomes: Outcome[] = []
  const stopped = new AbortController()
  const workers = nodes.map(async (node) => {
    while (!stopped.signal.aborted) outcomes.push(await plugin.attest(node))
  })
  return {
    done: () => outcomes.length,
    stop: async () => {
      stopped.abort()
      await Promise.all(workers)
      return outcomes
    },
  }
}
