/**
 * spire-server and spire-agent, built from the Go module proxy by test/lab/parts/spire into the cache.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runCommand, tryCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { cacheDir, hasAll, madeOnce } from './cache.ts'
import { requireGo } from './go.ts'
import type { Task } from './progress.ts'

/** The version that is run: `SPIRE` chooses another folder of test/lab/parts/spire. */
export const SPIRE_VERSION = process.env.SPIRE || '1.15.3'

const PROGRAMS = ['spire-server', 'spire-agent']
const PACKAGES = PROGRAMS.map((program) => `github.com/spiffe/spire/cmd/${program}`)
const MODULE_DIR = join(import.meta.dirname, 'spire', SPIRE_VERSION)

/**
 * Tells whether a build will be needed.
 *
 * @returns Whether neither `SPIRE_BIN_DIR` nor the cache has SPIRE.
 */
export function spireMustBeBuilt(): boolean {
  return !process.env.SPIRE_BIN_DIR && !existsSync(binDir())
}

/**
 * Makes sure SPIRE is there: `SPIRE_BIN_DIR`, or the cache, building it when it is not.
 *
 * @param task Told how far the build is.
 * @throws {RigError} `SPIRE_BIN_DIR` lacks a program, or the build fails.
 */
export async function requireSpire(task: Task): Promise<string> {
  const given = process.env.SPIRE_BIN_DIR
  if (given) {
    if (!hasAll(given, PROGRAMS)) throw new RigError(`SPIRE_BIN_DIR=${given} does not hold ${PROGRAMS.join(' and ')}`)
    return resolve(given)
  }
  return join(await madeOnce(`spire-${SPIRE_VERSION}`, task, (partial) => build(partial, task)), 'bin')
}

function binDir(): string {
  return join(cacheDir(), `spire-${SPIRE_VERSION}`, 'bin')
}

async function build(partial: string, task: Task): Promise<void> {
  const go = await requireGo(task)
  const options = {
    cwd: MODULE_DIR,
    inheritEnv: true,
    env: {
      GOBIN: join(partial, 'bin'),
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-mod=readonly',
      CGO_ENABLED: '1',
      GOWORK: 'off',
    },
    timeoutMs: 3_600_000,
  }
  let modules = 0
  task.update('reading the module list')
  const stale = await runCommand(go, ['list', '-deps', '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', ...PACKAGES], {
    ...options,
    onLine: (line) => {
      if (line.startsWith('go: downloading ')) task.update(`${++modules} modules downloaded`)
    },
  })
  const total = stale.split('\n').filter((line) => line !== '').length
  let compiled = 0
  // -v names each package as its compilation ends; the two programs come last, and linking them takes a while.
  const show = (): void =>
    task.update(
      compiled < total - PROGRAMS.length
        ? `${compiled} of ${total} packages compiled`
        : `linking ${PROGRAMS.join(' and ')}`,
    )
  show()
  await runCommand(go, ['install', '-v', ...PACKAGES], {
    ...options,
    onLine: (line) => {
      if (/^[a-z][\w./-]*$/i.test(line)) compiled += 1
      show()
    },
  })
  const versions = await Promise.all(PROGRAMS.map((name) => tryCommand(join(partial, 'bin', name), ['--version'])))
  // A build from the module proxy calls itself "1.15.3-dev-unk".
  if (!versions.every(({ stdout, stderr }) => (stdout + stderr).includes(SPIRE_VERSION)))
    throw new RigError(`go install ended well, but ${partial}/bin is no SPIRE ${SPIRE_VERSION}`)
}
