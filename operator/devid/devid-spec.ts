/**
 * DevID certificates that are to be kept: one file each in `/etc/towerkeep/devid.d`.
 *
 * @module
 */
import { basename, join } from 'node:path'
import { type Decoded, decodeConfig, defineSchema } from '@tower-of-omens/spire-sdk/hcl'
import { DEFAULT_TPM_PATH } from '@tower-of-omens/tpm-device'
import { OperatorError } from '../operator-error.ts'
import { readIfThere, snippetsIn } from '../site/files.ts'

const PATH = {
  kind: 'string',
  check: (value: string) => (value.startsWith('/') ? undefined : 'expected an absolute path'),
} as const

/** Every key of such a file. */
export const DEVID_SCHEMA = defineSchema({
  cert_file: {
    ...PATH,
    required: true,
    help: 'The DevID certificate with its issuers, leaf first: `devid_cert_path` of SPIRE.',
  },
  pub_file: { ...PATH, help: "The key's public blob: `devid_pub_path` of SPIRE." },
  priv_file: { ...PATH, help: "The key's private blob, wrapped by the TPM: `devid_priv_path` of SPIRE." },
  handle: {
    kind: 'string',
    pattern: /^0x81[0-9a-fA-F]{6}$/,
    patternText: 'a persistent handle such as 0x81010002',
    help: 'Handle of a persistent key instead of blobs; then the certificate is only checked.',
  },
  tpm_path: { ...PATH, default: DEFAULT_TPM_PATH, help: "The TPM's device or socket." },
  common_name: { kind: 'string', help: 'Common name; needed for renewal.' },
  key_type: { kind: 'string', oneOf: ['ec', 'rsa'], default: 'rsa', help: 'P-256, or RSA with 2048 bits.' },
  address: { kind: 'string', help: 'Of OpenBao or Vault; needed for renewal.' },
  ca_file: { ...PATH, help: 'CA certificates that it is trusted by.' },
  mount: { kind: 'string', default: 'pki_int', help: 'Of the PKI engine.' },
  role: { kind: 'string', help: 'Of the PKI engine.' },
  ttl: { kind: 'string', default: '', help: "Life to ask for. Default: the role's." },
  approle_role_id_file: { ...PATH, help: 'Role-id to log in with.' },
  approle_secret_id_file: { ...PATH, help: 'Its secret-id.' },
})

/** One DevID. */
export interface DevIdSpec extends Decoded<(typeof DEVID_SCHEMA)['fields']> {
  readonly name: string
  readonly from: string
}

/**
 * Reads the descriptions.
 *
 * @param folder Where they are.
 * @returns One for each `*.hcl`; none where there is no folder.
 * @throws {OperatorError} `TK-CONF-INVALID`: every problem of every file.
 */
export function readDevIdSpecs(folder: string): readonly DevIdSpec[] {
  const problems: string[] = []
  const specs = snippetsIn(folder)
    .filter((file) => file.endsWith('.hcl'))
    .flatMap((from): readonly DevIdSpec[] => {
      const read = readIfThere(from)
      if (read === undefined || 'problem' in read) {
        problems.push(`${join(from)}: ${read?.problem.message ?? 'is gone'}`)
        return []
      }
      const { values, problems: found } = decodeConfig(read.text, DEVID_SCHEMA)
      const blobs = values.pub_file !== undefined && values.priv_file !== undefined
      const wrong = [
        ...found.map(String),
        ...(values.handle === undefined && !blobs ? ['1:1: pub_file: set pub_file and priv_file, or handle'] : []),
      ]
      problems.push(...wrong.map((problem) => `${from}:${problem}`))
      return wrong.length > 0 ? [] : [{ ...values, name: basename(from, '.hcl'), from }]
    })
  if (problems.length > 0) throw new OperatorError('TK-CONF-INVALID', problems.join('; '))
  return specs
}
