/**
 * What is on this machine: SPIRE, Keylime and ourselves, each value with the file and line it came from.
 *
 * @module
 */
import { join } from 'node:path'
import { readIfThere, type SiteProblem } from './files.ts'
import { type KeylimeAgentConf, readKeylimeAgentConf } from './keylime-agent-conf.ts'
import { type KeylimeComponent, type KeylimeConf, readKeylimeConf } from './keylime-conf.ts'
import { environmentOf, findProcesses, goFlag, pathOf, type SiteProcess } from './processes.ts'
import { parseSpireConf, type SpireConf, variablesIn } from './spire-conf.ts'
import { readTowerkeepConf, TOWERKEEP_CONF, type TowerkeepConf } from './towerkeep-conf.ts'

/** What was found. */
export interface Site {
  readonly towerkeep: TowerkeepConf
  readonly processes: readonly SiteProcess[]
  readonly spireServer?: SpireConf
  readonly spireAgent?: SpireConf
  readonly verifier?: KeylimeConf
  readonly registrar?: KeylimeConf
  readonly tenant?: KeylimeConf
  readonly keylimeAgent?: KeylimeAgentConf
  /** Files that are there and cannot be used. */
  readonly problems: readonly SiteProblem[]
}

/** Where to look. */
export interface SitePlace {
  /** `--config`. */
  readonly configFile?: string | undefined
  /** Prefix of every usual path; empty outside tests. */
  readonly root?: string
  readonly procFolder?: string
  /** Our own variables, of which only `KEYLIME_*` count. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/**
 * Looks at this machine.
 *
 * @param place Where to look.
 * @returns What was found.
 * @throws {OperatorError} Our own configuration is wrong.
 */
export function discoverSite(place: SitePlace = {}): Site {
  const { root = '', procFolder = '/proc' } = place
  const processes = findProcesses(procFolder)
  const problems: SiteProblem[] = []
  const note = <T>(found: T | SiteProblem | undefined): T | undefined => {
    if (!isProblem(found)) return found
    problems.push(found)
    return undefined
  }
  const spireServer = note(spireConf('spire-server', processes, root, procFolder))
  const spireAgent = note(spireConf('spire-agent', processes, root, procFolder))
  const keylime = (component: KeylimeComponent): KeylimeConf | undefined =>
    readKeylimeConf(component, { environment: keylimeEnvironment(`keylime_${component}`, processes, place), root })
  const keylimeAgent = readKeylimeAgentConf(keylimeEnvironment('keylime_agent', processes, place), root)
  const confs = { verifier: keylime('verifier'), registrar: keylime('registrar'), tenant: keylime('tenant') }
  for (const conf of [...Object.values(confs), keylimeAgent]) problems.push(...(conf?.problems ?? []))
  return {
    towerkeep: readTowerkeepConf(place.configFile, join(root, TOWERKEEP_CONF)),
    processes,
    problems,
    ...given({ spireServer, spireAgent, keylimeAgent, ...confs }),
  }
}

function given<T extends Readonly<Record<string, unknown>>>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  // The compiler cannot follow entries.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> }
}

function isProblem(found: unknown): found is SiteProblem {
  return typeof found === 'object' && found !== null && 'isForbidden' in found
}

const USUAL_CONF: Readonly<Record<'spire-server' | 'spire-agent', readonly string[]>> = {
  'spire-server': [
    '/etc/spire/server.conf',
    '/etc/spire/server/server.conf',
    '/opt/spire/conf/server/server.conf',
    '/opt/spire/conf/server.conf',
  ],
  'spire-agent': [
    '/etc/spire/agent.conf',
    '/etc/spire/agent/agent.conf',
    '/opt/spire/conf/agent/agent.conf',
    '/opt/spire/conf/agent.conf',
  ],
}

// The running process decides; the usual places count when none runs.
function spireConf(
  program: 'spire-server' | 'spire-agent',
  processes: readonly SiteProcess[],
  root: string,
  procFolder: string,
): SpireConf | SiteProblem | undefined {
  const process = processes.find((one) => one.program === program && one.words[0] === 'run')
  const named = process === undefined ? undefined : spireConfOf(process)
  const usual = USUAL_CONF[program].map((file) => join(root, file))
  for (const file of named === undefined ? usual : [named]) {
    const read = readIfThere(file)
    if (read === undefined) continue
    if ('problem' in read) return read.problem
    const expands = process?.words.some((word) => /^--?expandEnv(=true)?$/.test(word)) === true
    const names = variablesIn(read.text)
    const environment = expands ? environmentOf(process.pid, (name) => names.has(name), procFolder) : undefined
    return parseSpireConf(file, read.text, environment)
  }
  return undefined
}

/**
 * Finds the configuration that a running SPIRE was given.
 *
 * @param process A SPIRE server or agent that runs.
 * @returns Absolute path.
 */
export function spireConfOf(process: SiteProcess): string {
  const flag = goFlag(process.words, 'config')
  const fallback = process.program === 'spire-server' ? 'conf/server/server.conf' : 'conf/agent/agent.conf'
  return pathOf(process, flag ?? fallback)
}

function keylimeEnvironment(
  program: string,
  processes: readonly SiteProcess[],
  { environment = {}, procFolder = '/proc' }: SitePlace,
): Readonly<Record<string, string>> {
  const own = Object.entries(environment).filter(
    (pair): pair is [string, string] => pair[0].startsWith('KEYLIME_') && pair[1] !== undefined,
  )
  const process = processes.find((one) => one.program === program)
  const running =
    process === undefined ? {} : environmentOf(process.pid, (name) => name.startsWith('KEYLIME_'), procFolder)
  return { ...Object.fromEntries(own), ...running }
}
