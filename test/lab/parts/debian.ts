/**
 * Programs the rig takes from the distribution: looks for them, installs them as root, else names the one command.
 *
 * @module
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import type { Task } from './progress.ts'

/** The distribution's Python: python3-gpg works with no other. */
export const SYSTEM_PYTHON = '/usr/bin/python3'

/** What else this run needs. */
export interface DebianNeeds {
  /** The virtual environment for Keylime. */
  readonly python: boolean
  /** A C compiler, for SPIRE's sqlite. */
  readonly compiler: boolean
}

const TOOLS: readonly (readonly [tool: string, debianPackage: string])[] = [
  ['swtpm', 'swtpm'],
  ['swtpm_setup', 'swtpm-tools'],
  ['swtpm_localca', 'swtpm-tools'],
  ['certtool', 'gnutls-bin'],
  ['tpm2_quote', 'tpm2-tools'],
  ['openssl', 'openssl'],
  ['flock', 'util-linux'],
  ['unshare', 'util-linux'],
]

/**
 * Makes sure the programs are there.
 *
 * @param needs What this run needs beyond the TPM tools.
 * @param task Told what is being installed.
 * @throws {RigError} Something is missing and this user is not root, or there is no apt-get: the message holds the
 *   command to run; or apt-get fails.
 */
export async function requireDebianPackages(needs: DebianNeeds, task: Task): Promise<void> {
  const missing = await missingPackages(needs)
  if (missing.length === 0) return
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    const command = `sudo apt-get update && sudo apt-get ${install.join(' ')}`
    throw new RigError(
      `these packages are missing: ${missing.join(', ')}; run this once, then start again:\n  ${command}`,
    )
  }
  const options = { inheritEnv: true, env: { DEBIAN_FRONTEND: 'noninteractive' }, timeoutMs: 900_000 }
  task.update(`apt-get update, then ${missing.join(' ')}`)
  await runCommand('apt-get', ['update'], options)
  let ready = 0
  await runCommand('apt-get', install, {
    ...options,
    onLine: (line) => {
      if (line.startsWith('Setting up ')) ready += 1
      if (/^(Setting up|Unpacking|Get:\d+) /.test(line)) task.update(`${ready} set up; ${line.slice(0, 70)}`)
    },
  })
  const still = await missingPackages(needs)
  if (still.length > 0) throw new RigError(`apt-get ended well, but these are still missing: ${still.join(', ')}`)
}

async function missingPackages(needs: DebianNeeds): Promise<readonly string[]> {
  const missing = new Set(TOOLS.filter(([tool]) => !isOnPath(tool)).map(([, name]) => name))
  if (needs.compiler && !isOnPath('gcc')) missing.add('gcc').add('libc6-dev')
  // Keylime parses boot logs with it; without it every agent that sends one fails.
  const libraries = await tryCommand('/sbin/ldconfig', ['-p'])
  if (!libraries.stdout.includes('libefivar.so.1')) missing.add('libefivar1')
  if (needs.python) for (const name of await missingPython()) missing.add(name)
  return [...missing]
}

async function missingPython(): Promise<readonly string[]> {
  if (!existsSync(SYSTEM_PYTHON)) return ['python3', 'python3-venv', 'python3-gpg']
  const old = await tryCommand(SYSTEM_PYTHON, ['-c', 'import sys; sys.exit(sys.version_info < (3, 10))'])
  if (old.code !== 0) {
    throw new RigError(
      `${SYSTEM_PYTHON} is older than 3.10, which Keylime 7.14 needs; set KEYLIME_BIN_DIR to its programs`,
    )
  }
  const has = async (module: string): Promise<boolean> =>
    (await tryCommand(SYSTEM_PYTHON, ['-c', `import ${module}`])).code === 0
  return [...((await has('ensurepip, venv')) ? [] : ['python3-venv']), ...((await has('gpg')) ? [] : ['python3-gpg'])]
}

/**
 * Tells whether a program can be found.
 *
 * @param tool Name without folder.
 * @returns Whether a folder of PATH, or one of the system's own, holds it.
 */
export function isOnPath(tool: string): boolean {
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin', '/usr/bin')
  return folders.some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
