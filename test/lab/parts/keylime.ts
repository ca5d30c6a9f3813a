/**
 * Keylime's verifier, registrar and tenant in a virtual environment in the cache.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { cacheDir, hasAll, withLock } from './cache.ts'
import { SYSTEM_PYTHON } from './debian.ts'
import type { Task } from './progress.ts'

/** The version the rig is proved with. */
export const KEYLIME_VERSION = '7.14.3'

const PROGRAMS = ['keylime_verifier', 'keylime_registrar', 'keylime_tenant']
const REQUIREMENTS = fileURLToPath(new URL('./keylime/requirements.txt', import.meta.url))

/**
 * Makes sure Keylime is installed in the cache, unless `KEYLIME_BIN_DIR` gives one.
 *
 * @param task Told what is going on.
 * @throws {RigError} `KEYLIME_BIN_DIR` lacks a program, or pip fails.
 */
export async function requireKeylime(task: Task): Promise<string> {
  const given = process.env.KEYLIME_BIN_DIR
  if (given) {
    if (!hasAll(given, PROGRAMS)) throw new RigError(`KEYLIME_BIN_DIR=${given} does not hold ${PROGRAMS.join(', ')}`)
    return resolve(given)
  }
  const dir = join(cacheDir(), `keylime-${KEYLIME_VERSION}`)
  const stamp = join(dir, 'complete')
  const wanted = await stampText()
  const isComplete = (): boolean => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  if (isComplete()) return join(dir, 'bin')
  await withLock(
    `keylime-${KEYLIME_VERSION}`,
    () => task.update('another run is installing it; waiting'),
    async () => {
      if (isComplete()) return
      await install(dir, task)
      // The stamp comes last: a folder without it is a half-finished one, and is made anew.
      writeFileSync(`${stamp}.new`, wanted)
      renameSync(`${stamp}.new`, stamp)
    },
  )
  return join(dir, 'bin')
}

async function install(dir: string, task: Task): Promise<void> {
  const total = readFileSync(REQUIREMENTS, 'utf8').match(/^[a-z].*==/gm)?.length ?? 0
  rmSync(dir, { recursive: true, force: true })
  task.update('making a virtual environment')
  await runCommand(SYSTEM_PYTHON, ['-m', 'venv', '--system-site-packages', dir], { inheritEnv: true })
  let collected = 0
  await runCommand(join(dir, 'bin', 'pip'), ['install', '--disable-pip-version-check', '-r', REQUIREMENTS], {
    inheritEnv: true,
    timeoutMs: 900_000,
    onLine: (line) => {
      if (line.startsWith('Collecting ')) collected += 1
      if (line.startsWith('Installing ')) task.update(`installing ${total} packages`)
      else task.update(`${collected} of ${total} packages downloaded`)
    },
  })
  if (!hasAll(join(dir, 'bin'), PROGRAMS))
    throw new RigError(`pip ended well, but ${dir}/bin lacks ${PROGRAMS.join(', ')}`)
  await runCommand(join(dir, 'bin', 'python'), ['-c', 'import gpg, keylime, cryptography'])
}

/** Another list, or another Python after a distribution upgrade, makes the environment useless. */
async function stampText(): Promise<string> {
  const python = await runCommand(SYSTEM_PYTHON, ['--version'])
  return `${python.trim()} ${createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex')}\n`
}
