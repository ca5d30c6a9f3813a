/**
 * Servers that a test starts itself, out of the distribution's archives: taken apart into the cache, not installed, so
 * that no service of the machine's begins to run.
 *
 * @module
 */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { cacheDir, madeOnce } from './cache.ts'
import { isOnPath } from './debian.ts'
import type { Task } from './progress.ts'

/** One program, and the archives it comes in. */
interface ArchivedProgram {
  /** Folder of the cache. */
  readonly folder: string
  /** Where the machine may have it installed, and where the archive puts it: patterns below `/`. */
  readonly pattern: string
  /** Names of packages, as a regular expression for apt-cache. */
  readonly packages: string
}

const NGINX: ArchivedProgram = { folder: 'nginx', pattern: 'usr/sbin/nginx', packages: '^nginx$' }
const POSTGRESQL: ArchivedProgram = {
  folder: 'postgresql',
  pattern: 'usr/lib/postgresql/*/bin/postgres',
  packages: '^postgresql-(client-)?[0-9]+$',
}

/**
 * Finds nginx.
 *
 * @returns Its path, or `undefined` when neither the machine nor the cache has it.
 */
export function nginxProgram(): string | undefined {
  return found(NGINX)
}

/**
 * Finds PostgreSQL.
 *
 * @returns Folder of postgres, initdb and psql, or `undefined` when neither the machine nor the cache has them.
 */
export function postgresqlBin(): string | undefined {
  const program = found(POSTGRESQL)
  return program === undefined ? undefined : join(program, '..')
}

/**
 * Makes sure of nginx and PostgreSQL where apt-get can fetch them; the tests that need them skip otherwise.
 *
 * @param task Told what is being fetched.
 * @returns Names of what cannot be had.
 */
export async function requireArchivedServers(task: Task): Promise<readonly string[]> {
  const missing: string[] = []
  for (const program of [NGINX, POSTGRESQL]) {
    if (found(program) === undefined && !(await fetched(program, task))) missing.push(program.folder)
  }
  return missing
}

function found({ folder, pattern }: ArchivedProgram): string | undefined {
  for (const root of ['/', join(cacheDir(), folder)]) {
    const path = globSync(pattern, { cwd: root }).toSorted().at(-1)
    if (path !== undefined) return join(root, path)
  }
  return undefined
}

async function fetched(program: ArchivedProgram, task: Task): Promise<boolean> {
  if (!isOnPath('apt-get') || !isOnPath('dpkg-deb')) return false
  try {
    await madeOnce(program.folder, task, (partial) => unpack(program, partial, task))
  } catch (error) {
    if (error instanceof RigError) return false
    throw error
  }
  return found(program) !== undefined
}

async function unpack({ folder, packages, pattern }: ArchivedProgram, into: string, task: Task): Promise<void> {
  task.update(`fetching ${folder}`)
  const options = { cwd: into, inheritEnv: true, timeoutMs: 600_000 }
  const download = async (): Promise<boolean> => {
    const known = await runCommand('apt-cache', ['pkgnames'], options)
    const names = known.split('\n').filter((name) => new RegExp(packages).test(name))
    return names.length > 0 && (await tryCommand('apt-get', ['download', ...names], options)).code === 0
  }
  // On a fresh machine the lists are missing or old; only root may renew them.
  if (!(await download())) {
    await runCommand('apt-get', ['update'], options)
    if (!(await download())) throw new RigError(`apt-get cannot download ${folder}`)
  }
  for (const archive of globSync('*.deb', { cwd: into })) await runCommand('dpkg-deb', ['-x', archive, '.'], options)
  // Its libraries are the machine's: where one is missing, the program is no use.
  for (const program of globSync(pattern, { cwd: into })) await runCommand(join(into, program), ['-V'], options)
}
