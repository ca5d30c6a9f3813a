/**
 * Certificates that are to be renewed: one file each in `/etc/towerkeep/certs.d`, the file's name is the certificate's.
 *
 * @module
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseHostPort } from '@tower-of-omens/keylime'
import { type Decoded, decodeConfig, defineSchema } from '@tower-of-omens/spire-sdk/hcl'
import { OperatorError } from '../operator-error.ts'
import { readIfThere } from '../site/files.ts'

const PATH = { kind: 'string', check: absolute } as const
const WORDS = { kind: 'string_list', default: [], max: 64 } as const

/** Every key of such a file. */
export const CERT_SCHEMA = defineSchema({
  cert_file: { ...PATH, required: true, help: 'The certificate with its issuers, leaf first.' },
  key_file: { ...PATH, required: true, help: 'Its private key, PKCS#8. It is made on this host and never leaves it.' },
  common_name: { kind: 'string', required: true, help: 'Common name.' },
  dns_names: { ...WORDS, help: 'DNS names that peers dial.' },
  ip_addresses: { ...WORDS, help: 'Addresses that peers dial.' },
  uris: { ...WORDS, help: 'URIs, such as a SPIFFE ID.' },
  key_type: { kind: 'string', oneOf: ['ec', 'rsa'], default: 'ec', help: 'P-256, or RSA with 2048 bits.' },
  issuer: {
    kind: 'string',
    oneOf: ['openbao', 'step-ca', 'self'],
    default: 'openbao',
    help: '`self`: self-signed, for a client that only one service knows.',
  },
  use: {
    kind: 'string',
    oneOf: ['server', 'client'],
    default: 'server',
    help: 'For `issuer = "self"`: what the certificate is for. Else the issuer decides.',
  },
  address: { kind: 'string', check: httpsUrl, help: 'Of the issuer, such as `"https://openbao.example.org:8200"`.' },
  ca_file: { ...PATH, help: 'CA certificates that the issuer is trusted by.' },
  mount: { kind: 'string', default: 'pki_int', help: 'Of the PKI engine.' },
  role: { kind: 'string', help: 'Of the PKI engine.' },
  ttl: { kind: 'string', default: '', help: 'Life to ask for, such as `"24h"`. Default: what the role gives.' },
  svid_cert_file: {
    ...PATH,
    help: 'An X.509-SVID to log in with; tried first. Its entry in SPIRE needs a DNS name: OpenBao asks for a common name.',
  },
  svid_key_file: { ...PATH, help: 'Its key.' },
  svid_role: { kind: 'string', default: '', help: 'Role of the certificate login. Default: whichever fits.' },
  approle_role_id_file: { ...PATH, help: 'Role-id to log in with where there is no SVID, or it is not taken.' },
  approle_secret_id_file: { ...PATH, help: 'Its secret-id.' },
  append_file: {
    ...PATH,
    help: 'Certificates to append after the issuers, where peers need more than the issuer sends.',
  },
  reload: { ...WORDS, help: 'Program and words that make the service read the files, run after the swap.' },
  announce_file: {
    ...PATH,
    help: 'For a client that a service knows by its very certificate: the new one is put here and `reload` run before the swap.',
  },
  handshake: {
    kind: 'string',
    check: hostPort,
    help: 'Where the service listens, `"host:port"`: after the reload it must present the new certificate there.',
  },
  handshake_within: {
    kind: 'duration',
    default: '20s',
    min: 100,
    max: 600_000,
    help: 'How long the service may take to serve it.',
  },
  handshake_cert_file: {
    ...PATH,
    help: 'Client certificate to show there. A service that wants one is else only seen.',
  },
  handshake_key_file: { ...PATH, help: 'Its key.' },
  trust_first_block: { ...WORDS, help: 'Trust files of peers that read only the first certificate (Rust).' },
  trust_to_root: { ...WORDS, help: 'Trust files of peers that need a root (Python, OpenSSL).' },
  trust_partial: { ...WORDS, help: 'Trust files of peers that take an intermediate alone (Go, this project).' },
  owner: {
    kind: 'string',
    default: '',
    help: 'User and group of new files, `"keylime:tss"`. Files that are there keep theirs.',
  },
  key_mode: {
    kind: 'string',
    default: '0600',
    pattern: /^0?[0-7]{3}$/,
    patternText: 'an octal mode',
    help: 'Mode of a new key file.',
  },
  readers: { ...WORDS, help: 'Users that must be able to read both files.' },
  hook: {
    ...WORDS,
    help: 'Program and words to run at the end, with `TOWERKEEP_CERT`, `_OUTCOME` and `_SERIAL` in its environment.',
  },
})

/** The values of one file. */
export type CertValues = Decoded<(typeof CERT_SCHEMA)['fields']>

/** One certificate to renew. */
export interface CertSpec extends CertValues {
  readonly name: string
  /** The file that describes it. */
  readonly from: string
}

/** A description that cannot be followed. */
export interface WrongCertFile {
  /** Of the certificate. */
  readonly name: string
  /** Each with file, place and key. */
  readonly problems: readonly string[]
}

/**
 * Reads the descriptions, all of which must be right.
 *
 * @param folder Where they are.
 * @returns One for each `*.hcl`, by name; none where there is no folder.
 * @throws {OperatorError} `TK-CONF-INVALID`: every problem of every file.
 */
export function readCertSpecs(folder: string): readonly CertSpec[] {
  const { specs, wrong } = readCertFolder(folder)
  if (wrong.length > 0) throw new OperatorError('TK-CONF-INVALID', wrong.flatMap(({ problems }) => problems).join('; '))
  return specs
}

/**
 * Reads the descriptions, the right ones also beside wrong ones.
 *
 * @param folder Where they are.
 * @returns Each `*.hcl` in one of the lists, by name; none where there is no folder.
 */
export function readCertFolder(folder: string): {
  readonly specs: readonly CertSpec[]
  readonly wrong: readonly WrongCertFile[]
} {
  const read = namesIn(folder).map((name) => readCertFile(join(folder, name)))
  return {
    specs: read.filter((one): one is CertSpec => !('problems' in one)),
    wrong: read.filter((one) => 'problems' in one),
  }
}

function readCertFile(from: string): CertSpec | WrongCertFile {
  const name = basename(from, '.hcl')
  const read = readIfThere(from)
  if (read === undefined || 'problem' in read)
    return { name, problems: [`${from}: ${read?.problem.message ?? 'is gone'}`] }
  const { values, problems: found } = decodeConfig(read.text, CERT_SCHEMA)
  const wrong = [...found.map(String), ...contradictions(values)]
  return wrong.length > 0 ? { name, problems: wrong.map((problem) => `${from}:${problem}`) } : { ...values, name, from }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.hcl'))
      .toSorted()
  } catch {
    return []
  }
}

function contradictions(values: CertValues): readonly string[] {
  const wants = (keys: readonly (keyof CertValues)[], why: string): readonly string[] =>
    keys.filter((key) => values[key] === undefined).map((key) => `1:1: ${key}: required, but not set: ${why}`)
  const pairs = [
    ['svid_cert_file', 'svid_key_file'],
    ['approle_role_id_file', 'approle_secret_id_file'],
    ['handshake_cert_file', 'handshake_key_file'],
  ] as const
  const halves = pairs.filter(([a, b]) => (values[a] === undefined) !== (values[b] === undefined))
  const noLogin = values.svid_cert_file === undefined && values.approle_role_id_file === undefined
  return [
    ...halves.map(([a, b]) => `1:1: ${a}: set both ${a} and ${b}, or neither`),
    ...(values.issuer === 'self' ? [] : wants(['address', 'ca_file'], `issuer = "${values.issuer}"`)),
    ...(values.issuer === 'openbao' ? wants(['role'], 'issuer = "openbao"') : []),
    ...(values.issuer === 'openbao' && noLogin
      ? ['1:1: svid_cert_file: set it or approle_role_id_file: nothing to log in with']
      : []),
  ]
}

function absolute(value: string): string | undefined {
  return value.startsWith('/') ? undefined : 'expected an absolute path'
}

function hostPort(value: string): string | undefined {
  const address = parseHostPort(value, 0)
  return address !== undefined && address.port > 0 ? undefined : 'expected "host:port"'
}

function httpsUrl(value: string): string | undefined {
  return /^https:\/\/[^/\s]+$/.test(value) ? undefined : 'expected "https://host:port"'
}
