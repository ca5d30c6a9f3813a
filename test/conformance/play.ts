/**
 * Has the Go hosts play cases, and collects what they observe.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type Executables, hostEnvironment } from './build.ts'
import type { ConformanceCase } from './conformance-case.ts'
import type { Run } from './judge.ts'

/**
 * Plays cases, one after the other.
 *
 * @param executables From `buildAll`.
 * @param onRun Told of each run as it ends.
 * @throws {Error} A host cannot be started, or fails as a whole.
 */
export async function playAll(
  cases: readonly ConformanceCase[],
  executables: Executables,
  onRun: (run: Run) => void = () => undefined,
): Promise<Run[]> {
  const { host, oldHost, plugins, exampleHosts } = executables
  const given = [
    ...Object.entries(plugins).flatMap(([name, path]) => ['-plugin', `${name}=${path}`]),
    ...Object.entries(exampleHosts).flatMap(([name, path]) => ['-host', `${name}=${path}`]),
  ]
  const old = cases.filter((each) => each.via === 'old go-plugin')
  const current = cases.filter((each) => !old.includes(each)).map((each) => each.id)
  const runs: Run[] = []
  const collect = (run: Run): void => {
    runs.push(run)
    onRun(run)
  }
  if (current.length > 0) await runHost(host, [...given, ...current], collect)
  if (old.length > 0) await runHost(oldHost, [plugins['example'] ?? ''], collect)
  return runs
}

async function runHost(command: string, args: readonly string[], onRun: (run: Run) => void): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: hostEnvironment() })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  for await (const line of createInterface({ input: child.stdout })) onRun(JSON.parse(line) as Run)
  const code = await ended
  if (code !== 0) throw new Error(`${command} ended with ${code}`)
}
