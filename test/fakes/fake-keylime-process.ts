// Starts a fake Keylime installation in another process, so that it does not share the event loop of what is measured.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FakeKeylimeOptions } from './fake-keylime.ts'
import { type FakeNode, type FakeNodeKeys, importNodes } from './fake-node.ts'
import type { FakeStats } from './fake-server.ts'

interface Address {
  readonly host: string
  readonly port: number
}

/** The line that the process prints when it is ready. */
export interface FakeKeylimeReady {
  readonly verifiers: readonly Address[]
  readonly registrar: Address
  readonly agents: readonly (Address & { readonly agentId: string; readonly hcl: string })[]
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  readonly ekCaFile: string
  readonly nodesFile: string
  readonly serverHcl: string
}

/** Counts of every server in the process. */
export interface FakeKeylimeStats {
  readonly verifiers: readonly FakeStats[]
  readonly registrar: FakeStats
  readonly agents: readonly FakeStats[]
}

/** A running process. */
export interface FakeKeylimeProcess {
  readonly ready: FakeKeylimeReady
  readonly nodes: readonly FakeNode[]
  readonly pid: number
  stats(): Promise<FakeKeylimeStats>
  resetStats(): Promise<void>
  /** Writes a new client certificate with a new key over the one that is configured. */
  renewCertificate(): Promise<void>
  /** Takes every verifier away, its connections too, and brings it back on the same port. */
  restartVerifiers(awayMs: number): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts the process and waits until it serves.
 * @param options As for `startFakeKeylime`; `agents` starts that many Keylime agents.
 */
export async function spawnFakeKeylime(
  options: Omit<FakeKeylimeOptions, 'now'> & { readonly agents?: number },
): Promise<FakeKeylimeProcess> {
  const script = fileURLToPath(new URL('serve.ts', import.meta.url))
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`fake Keylime ended with ${child.exitCode}`)
    return JSON.parse(line.value)
  }
  const ask = async (word: string): Promise<FakeKeylimeStats> => {
    child.stdin.write(`${word}\n`)
    return (await next()) as FakeKeylimeStats
  }
  const ready = (await next()) as FakeKeylimeReady
  return {
    ready,
    nodes: importNodes(JSON.parse(readFileSync(ready.nodesFile, 'utf8')) as FakeNodeKeys),
    pid: child.pid ?? 0,
    stats: () => ask('stats'),
    resetStats: async () => {
      await ask('reset')
    },
    renewCertificate: async () => {
      await ask('renew')
    },
    restartVerifiers: async (awayMs) => {
      await ask(`restart ${awayMs}`)
    },
    stop: () => stop(child),
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  child.stdin?.end()
  await once(child, 'exit')
}
