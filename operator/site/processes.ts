/**
 * The processes of SPIRE, Keylime and OpenBao on this machine, from `/proc`.
 *
 * Only those in our own network namespace count: what runs in another one is another host's, even if it can be seen.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

/** Programs that are looked for; Keylime's Python services are scripts, so their name is the second word. */
export const PROGRAMS = [
  'spire-server',
  'spire-agent',
  'keylime_verifier',
  'keylime_registrar',
  'keylime_agent',
  'bao',
  'vault',
] as const

/** One of them. */
export type ProgramName = (typeof PROGRAMS)[number]

/** One process. */
export interface SiteProcess {
  readonly pid: number
  readonly program: ProgramName
  /** Words of its command line after the program. */
  readonly words: readonly string[]
  /** Working directory; undefined when it may not be read. */
  readonly cwd?: string
  /** User it runs as. */
  readonly uid: number
}

/**
 * Finds the processes.
 *
 * @param procFolder Where `/proc` is mounted.
 * @returns Those that can be seen; first those of root, of system users and our own, since everybody may give a process
 *   any name, then by process ID. A process that ends meanwhile is left out.
 */
export function findProcesses(procFolder = '/proc'): readonly SiteProcess[] {
  const own = namespaceOf(procFolder, 'self')
  return readdirSync(procFolder)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const found = processAt(procFolder, name)
      const namespace = found === undefined ? undefined : namespaceOf(procFolder, name)
      const isElsewhere = own !== undefined && namespace !== undefined && namespace !== own
      return found === undefined || isElsewhere ? [] : [found]
    })
    .toSorted((a, b) => Number(isStranger(a)) - Number(isStranger(b)) || a.pid - b.pid)
}

/**
 * Reads environment variables of a process.
 *
 * @param pid The process.
 * @param isWanted Chooses by name; everything else is dropped unread.
 * @param procFolder Where `/proc` is mounted.
 * @returns Those that are set; none when we may not look.
 */
export function environmentOf(
  pid: number,
  isWanted: (name: string) => boolean,
  procFolder = '/proc',
): Readonly<Record<string, string>> {
  const text = read(join(procFolder, String(pid), 'environ')) ?? ''
  const pairs = text.split('\0').map((pair): [string, string] => {
    const at = pair.indexOf('=')
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  return Object.fromEntries(pairs.filter(([name]) => name !== '' && isWanted(name)))
}

/**
 * Finds the value of a flag of a Go program.
 *
 * @param words Its command line.
 * @param name The flag without dashes.
 * @returns The value of `-name value`, `--name value` or `-name=value`.
 */
export function goFlag(words: readonly string[], name: string): string | undefined {
  const at = words.findIndex((word) => word === `-${name}` || word === `--${name}`)
  if (at >= 0) return words[at + 1]
  const joined = words.find((word) => word.startsWith(`-${name}=`) || word.startsWith(`--${name}=`))
  return joined?.slice(joined.indexOf('=') + 1)
}

/**
 * Makes a path of a process absolute.
 *
 * @param process The process.
 * @param path As it was written.
 * @returns The path from the process's working directory.
 */
export function pathOf(process: SiteProcess, path: string): string {
  return resolve(process.cwd ?? '/', path)
}

/** Users of people begin here; those that systemd makes for a unit lie far above. */
const FIRST_PERSON = 1_000
const LAST_PERSON = 60_000

function isStranger({ uid }: SiteProcess): boolean {
  return uid >= FIRST_PERSON && uid <= LAST_PERSON && uid !== process.geteuid?.()
}

function processAt(procFolder: string, name: string): SiteProcess | undefined {
  const folder = join(procFolder, name)
  const line = read(join(folder, 'cmdline'))
  if (line === undefined || line === '') return undefined
  const words = line.split('\0').slice(0, -1)
  const at = words.slice(0, 3).findIndex((word) => isProgram(basename(word)))
  const program = basename(words[at] ?? '')
  // Only an interpreter and its flags may stand before a script.
  if (!isProgram(program) || (at > 0 && !/^(python|node)[\d.]*$/.test(basename(words[0] ?? '')))) return undefined
  try {
    const cwd = link(join(folder, 'cwd'))
    const { uid } = statSync(folder)
    return { pid: Number(name), program, words: words.slice(at + 1), uid, ...(cwd !== undefined && { cwd }) }
  } catch {
    // It has ended.
    return undefined
  }
}

function isProgram(name: string): name is ProgramName {
  return PROGRAMS.some((program) => program === name)
}

function namespaceOf(procFolder: string, name: string): string | undefined {
  return link(join(procFolder, name, 'ns', 'net'))
}

function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
