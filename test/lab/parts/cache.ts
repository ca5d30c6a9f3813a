/**
 * The folder outside the checkout where everything built or downloaded stays, locks on its parts, and log folders.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import { cleanEnv } from '../processes/processes.ts'
import type { Task } from './progress.ts'

const KEPT_LOG_FOLDERS = 20

/**
 * Names the cache folder and makes it.
 *
 * @returns `${XDG_CACHE_HOME:-~/.cache}/tower-of-omens`.
 */
export function cacheDir(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const dir = join(base, 'tower-of-omens')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return dir
}

/**
 * Makes a new folder for the logs of one run, and removes all but the newest twenty.
 *
 * @param name What runs: "demo", or a test file's name.
 * @returns The folder, mode 0700.
 */
export function newLogDir(name: string): string {
  const logs = join(cacheDir(), 'logs')
  mkdirSync(logs, { recursive: true, mode: 0o700 })
  const stamp = new Date().toISOString().replace(/[-:]/g, '').replace(/\..*/, 'Z')
  const dir = join(logs, `${stamp}-${name}-${process.pid}`)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  // The names begin with the time, so their order is their age.
  const surplus = readdirSync(logs).toSorted().slice(0, -KEPT_LOG_FOLDERS)
  for (const folder of surplus) rmSync(join(logs, folder), { recursive: true, force: true })
  return dir
}

/**
 * Does some work while no other process of this machine does the same.
 *
 * The lock is the kernel's, held by `flock`, and goes with the process that holds it: no stale lock can be left.
 *
 * @param name File name of the lock in the cache.
 * @param onWait Called when another process holds it.
 * @throws {RigError} `flock` is missing; or what the work throws.
 */
export async function withLock<T>(name: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  const file = join(cacheDir(), `${name}.lock`)
  // cat echoes one line once flock has the lock, and ends, releasing it, when our end of the pipe closes.
  const holder = spawn('flock', ['--exclusive', file, 'cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    env: cleanEnv(),
  })
  const failed = once(holder, 'error').then(([cause]: unknown[]) => {
    throw new RigError('cannot lock the cache: flock does not run (Debian package util-linux)', { cause })
  })
  holder.stdin.write('held\n')
  const waiting = setTimeout(onWait, 500)
  try {
    await Promise.race([once(holder.stdout, 'data'), failed])
    clearTimeout(waiting)
    return await work()
  } finally {
    clearTimeout(waiting)
    holder.stdin.end()
  }
}

/**
 * Tells whether a file exists in a folder.
 *
 * @param names File names that must all be there.
 * @returns Whether they are.
 */
export function hasAll(dir: string, names: readonly string[]): boolean {
  return names.every((name) => existsSync(join(dir, name)))
}

/**
 * Makes a folder of the cache, unless it is there: a folder that has its name is complete.
 *
 * @param name Name of the folder, with whatever a change of must make it anew.
 * @param task Told when another run is at it.
 * @returns Absolute path.
 * @throws {RigError} What `make` throws; nothing is left then.
 */
export async function madeOnce(
  name: string,
  task: Pick<Task, 'update'>,
  make: (partial: string) => Promise<void>,
): Promise<string> {
  const dir = join(cacheDir(), name)
  if (existsSync(dir)) return dir
  await withLock(
    name,
    () => task.update('another run is at it; waiting'),
    async () => {
      if (existsSync(dir)) return
      const partial = `${dir}.partial`
      rmSync(partial, { recursive: true, force: true })
      mkdirSync(partial, { recursive: true })
      await make(partial)
      // The name comes last.
      renameSync(partial, dir)
    },
  )
  return dir
}

/**
 * Hashes a file that pins versions, for the name of what is made from it.
 *
 * @param file Absolute path.
 * @returns Twelve hex digits.
 */
export function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12)
}
