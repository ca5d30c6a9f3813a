/**
 * `/etc/towerkeep.hcl`: what cannot be found out, and what the daemon may do.
 *
 * @module
 */
import { type Decoded, decodeConfig, defineSchema, type Position } from '@tower-of-omens/spire-sdk/hcl'
import { OperatorError } from '../operator-error.ts'
import { absolutePath, hostPortText } from './conf-checks.ts'
import { readIfThere } from './files.ts'
import type { Sourced } from './sourced.ts'
import { WATCH_SCHEMA } from './watch-conf.ts'

/** Where it is looked for. */
export const TOWERKEEP_CONF = '/etc/towerkeep.hcl'

/** Every key. */
export const TOWERKEEP_SCHEMA = defineSchema({
  spire_sockets: {
    kind: 'string_list',
    min: 1,
    max: 16,
    check: absolutePath,
    help: 'Sockets of the SPIRE servers, all of which are acted on. Default: `socket_path` of the one on this machine.',
  },
  trust_domain: {
    kind: 'string',
    help: "SPIRE's trust domain. Default: that of the SPIRE server on this machine, or what its API says.",
  },
  keylime_verifiers: {
    kind: 'string_list',
    min: 1,
    max: 32,
    check: hostPortText,
    help: 'Verifiers, each `"host:port"`. Default: those of the plugin\'s configuration, else of tenant.conf.',
  },
  keylime_registrars: {
    kind: 'string_list',
    min: 1,
    max: 32,
    check: hostPortText,
    help: 'Registrars, each `"host:port"`. Default: as for verifiers.',
  },
  keylime_verifier_server_name: {
    kind: 'string',
    defaultText: 'the host',
    help: "Name in the verifiers' certificates.",
  },
  keylime_registrar_server_name: {
    kind: 'string',
    defaultText: 'the host',
    help: "Name in the registrars' certificates.",
  },
  keylime_ca_file: {
    kind: 'string',
    check: absolutePath,
    help: "CA certificates that verifier and registrar are trusted by. Default: tenant.conf's.",
  },
  keylime_cert_file: {
    kind: 'string',
    check: absolutePath,
    help: "Our client certificate, of our own and not the plugin's, so that Keylime's log names us. Default: tenant.conf's.",
  },
  keylime_key_file: { kind: 'string', check: absolutePath, help: 'Its private key.' },
  hosts: {
    kind: 'string_list',
    default: [],
    max: 10_000,
    check: hostName,
    help: 'Names of hosts, each `"name=agent-id"`. Default: the first name in the Keylime agent\'s certificate.',
  },
  watch: {
    kind: 'block',
    help: 'The daemon.',
    fields: WATCH_SCHEMA.fields,
  },
})

/** The values. */
export type TowerkeepValues = Decoded<(typeof TOWERKEEP_SCHEMA)['fields']>

/** Name of a key. */
export type TowerkeepKey = Extract<keyof TowerkeepValues, string>

/** The configuration, and where it came from. */
export interface TowerkeepConf {
  /** Undefined: there is no file, and every value is the default. */
  readonly file?: string
  readonly values: TowerkeepValues
  readonly warnings: readonly string[]
  /** @param key A key that the file sets. */
  source(key: TowerkeepKey): string
}

/**
 * Reads the configuration.
 *
 * @param file The file named on the command line; without it the usual one, which need not be there.
 * @param usual Where the usual one is.
 * @returns The configuration.
 * @throws {OperatorError} `TK-CONF-INVALID`, with every problem; `TK-CONF-ABSENT`: the file named is not there.
 */
export function readTowerkeepConf(file: string | undefined, usual: string = TOWERKEEP_CONF): TowerkeepConf {
  const path = file ?? usual
  const read = readIfThere(path)
  if (read === undefined) {
    if (file === undefined) return confOf('', undefined)
    throw new OperatorError('TK-CONF-ABSENT', `${file}: there is no such file`)
  }
  if ('problem' in read) throw new OperatorError('TK-CONF-INVALID', `${path}: ${read.problem.message}`)
  return confOf(read.text, path)
}

function confOf(text: string, file: string | undefined): TowerkeepConf {
  const { values, positions, problems, warnings } = decodeConfig(text, TOWERKEEP_SCHEMA)
  const path = file ?? TOWERKEEP_CONF
  const wrong = [...problems.map(String), ...halfPair(values, positions)]
  if (wrong.length > 0) {
    const lines = wrong.map((problem) => `${path}:${problem}`)
    throw new OperatorError('TK-CONF-INVALID', lines.join('; '))
  }
  return {
    ...(file !== undefined && { file }),
    values,
    warnings: warnings.map((warning) => `${path}:${String(warning)}`),
    source: (key) => `${path}:${positions.get(key)?.line ?? 1}`,
  }
}

// One of them alone would be left aside for the tenant's pair, and Keylime's log would name another.
function halfPair(values: TowerkeepValues, positions: ReadonlyMap<string, Position>): readonly string[] {
  const pair = ['keylime_cert_file', 'keylime_key_file'] as const
  const [set, ...more] = pair.filter((key) => values[key] !== undefined)
  if (set === undefined || more.length > 0) return []
  const { line, column } = positions.get(set) ?? { line: 1, column: 1 }
  return [`${line}:${column}: ${set}: set both ${pair.join(' and ')}, or neither`]
}

/**
 * Takes a value that the configuration sets.
 *
 * @param conf The configuration.
 * @param key Its key.
 * @returns The value with its place, or undefined.
 */
export function configured<K extends TowerkeepKey>(
  conf: TowerkeepConf,
  key: K,
): Sourced<NonNullable<TowerkeepValues[K]>> | undefined {
  const value = conf.values[key]
  return value === undefined || value === null ? undefined : { value, from: conf.source(key) }
}

function hostName(value: string): string | undefined {
  return /^[A-Za-z0-9._-]{1,255}=[A-Za-z0-9._-]{1,128}$/.test(value) ? undefined : 'expected "name=agent-id"'
}
