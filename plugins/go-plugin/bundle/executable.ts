/**
 * One executable file of a bundled script: Node with the program inside.
 *
 * @see Node.js 26, doc/api/single-executable-applications.md
 * @module
 */
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { CODE_CACHE, LOADER, PACKER, PROGRAM, SCRIPT } from './packed-program.ts'
import { withoutDebugSections } from './slim-elf.ts'

/** How an executable is made. */
export interface ExecutableOptions {
  /** Node binary for Linux to put the program into; default the one that runs this. */
  readonly node?: string
  /** Node binary that does the work, 25.5 or newer; default the one that runs this. */
  readonly builder?: string
  /** Whether `node` is for another processor than this machine's: then it can have no code cache. Default false. */
  readonly foreign?: boolean
  /** Flags of Node and V8 that the program always runs with, besides the fixed ones. */
  readonly flags?: readonly string[]
}

/**
 * Flags of every executable. The inspector must not open when a signal for the host reaches its process group, Node's
 * warnings are no lines a host could read, and neither OPENSSL_CONF nor the machine's openssl.cnf may load a module.
 */
const FIXED_FLAGS = ['--disable-sigusr1', '--no-warnings', '--openssl-config=/dev/null']

/**
 * Makes an executable.
 *
 * @param code Bundled CommonJS script, without a shebang line.
 * @param out Path of the executable. It is replaced at once: a plugin that runs from the old file goes on.
 * @param options See `ExecutableOptions`.
 * @throws {Error} The binary is no Node for Linux, or `builder` cannot make executables.
 */
export async function makeExecutable(code: string, out: string, options: ExecutableOptions): Promise<void> {
  const { node = process.execPath, builder = process.execPath, foreign = false, flags = [] } = options
  const name = basename(out)
  const work = join(dirname(out), `.sea-${name}`)
  await mkdir(work, { recursive: true })
  try {
    await writeFile(join(work, 'node'), withoutDebugSections(await readFile(node)))
    await writeFile(join(work, SCRIPT), code)
    await writeFile(join(work, 'packer.cjs'), PACKER)
    await writeFile(join(work, 'loader.cjs'), LOADER)
    const allFlags = [...flags, ...FIXED_FLAGS]
    await writeFile(join(work, 'sea.json'), JSON.stringify(seaConfig(name, !foreign, allFlags)))
    // A code cache is bound to the processor that made it.
    await runIn(work, builder, [...allFlags, 'packer.cjs', ...(foreign ? [] : ['with-cache'])])
    await runIn(work, builder, ['--build-sea', 'sea.json'])
    await chmod(join(work, name), 0o755)
    await rename(join(work, name), out)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

function seaConfig(output: string, hasCache: boolean, execArgv: readonly string[]): object {
  return {
    // By relative paths, so that the folder does not change the bytes.
    main: 'loader.cjs',
    output,
    executable: 'node',
    assets: { [PROGRAM]: PROGRAM, ...(hasCache && { [CODE_CACHE]: CODE_CACHE }) },
    disableExperimentalSEAWarning: true,
    execArgv,
    execArgvExtension: 'none',
  }
}

async function runIn(work: string, builder: string, args: readonly string[]): Promise<void> {
  try {
    const env = { PATH: process.env['PATH'] }
    // Predictable, so that two builds give the same bytes.
    await promisify(execFile)(builder, ['--predictable', ...args], { cwd: work, env })
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    throw new Error(`${builder} cannot make an executable, Node.js 25.5 or newer can: ${said.trim()}`, { cause: error })
  }
}
