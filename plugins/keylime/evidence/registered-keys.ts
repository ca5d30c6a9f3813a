/**
 * The keys of a registrar record, parsed and fit for judging quotes: a restricted AK, and the EK it lives under.
 *
 * @module
 */
import { hash } from 'node:crypto'
import type { HashAlg } from '@tower-of-omens/tpm'
import { parseTpm2bPublic, qualifiedName, TpmError, type TpmPublic } from '@tower-of-omens/tpm'
import { KeylimeError } from '../basis/errors.ts'
import { ekUuid } from '../basis/ids.ts'
import { certifiedKey } from './certified-key.ts'

/** The part of a registrar record that holds keys; `RegistrarRecord` fits. */
export interface RegisteredRecord {
  readonly agentId: string
  /** TPM2B_PUBLIC of the AK. */
  readonly akTpm: Uint8Array
  /** TPM2B_PUBLIC of the EK. */
  readonly ekTpm: Uint8Array
  /** EK certificate, DER. */
  readonly ekCert?: Uint8Array | undefined
}

/** A record's keys, checked. */
export interface RegisteredKeys {
  readonly ak: TpmPublic
  readonly ek: TpmPublic
  /** The Qualified Name that quotes of this AK under this EK carry. */
  readonly qualifiedSigner: Buffer
  /** SHA-256 of the EK's SPKI DER, hex: `openssl pkey -pubin -outform der | sha256sum`. */
  readonly ekFingerprint: string
  /** The ID that `uuid = "hash_ek"` gives an agent with this EK. */
  readonly ekUuid: string
}

// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | restricted | sign: a key that signs only what its TPM
// made, and never leaves it. @see rust-tss-esapi 7.7.0, abstraction/ak.rs
const AK_ATTRIBUTES = 0x00050072
const NAME_ALGS: ReadonlySet<HashAlg> = new Set(['sha256', 'sha384', 'sha512'])

const parsed = new WeakMap<RegisteredRecord, RegisteredKeys>()

/**
 * Parses and checks the keys of a registrar record; the work is done once for each record object.
 *
 * @param record A record as the registrar gave it. Never changed after.
 * @returns The keys and what follows from them.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: a key does not parse, the AK is not a restricted signing key of
 *   2048 bits or more (or P-256, P-384, P-521), or the EK certificate is another key's. The record is unusable; the node
 *   may be innocent.
 */
export function registeredKeys(record: RegisteredRecord): RegisteredKeys {
  const known = parsed.get(record)
  if (known !== undefined) return known
  const ak = parseKey(record, 'AK', record.akTpm)
  const ek = parseKey(record, 'EK', record.ekTpm)
  requireAk(record, ak)
  requireMatchingCertificate(record, ek)
  const keys: RegisteredKeys = {
    ak,
    ek,
    qualifiedSigner: qualifiedName(ek, ak),
    ekFingerprint: hash('sha256', ek.spki),
    ekUuid: ekUuid(ek.pem),
  }
  parsed.set(record, keys)
  return keys
}

function parseKey(record: RegisteredRecord, role: 'AK' | 'EK', bytes: Uint8Array): TpmPublic {
  try {
    const key = parseTpm2bPublic(bytes)
    if (NAME_ALGS.has(key.nameAlg)) return key
    throw unusable(record, `${role} has a ${key.nameAlg} name, expected sha256, sha384 or sha512`)
  } catch (error) {
    if (!(error instanceof TpmError)) throw error
    throw unusable(record, `${role} does not parse: ${error.message}`, error)
  }
}

function requireAk(record: RegisteredRecord, ak: TpmPublic): void {
  if (ak.attributes !== AK_ATTRIBUTES) {
    throw unusable(
      record,
      `AK has attributes ${hex32(ak.attributes)}, expected ${hex32(AK_ATTRIBUTES)} (an attestation key)`,
    )
  }
  const expected = ak.type === 'rsa' ? 'rsassa' : 'ecdsa'
  if (ak.scheme.name !== expected) throw unusable(record, `AK has scheme ${ak.scheme.name}, expected ${expected}`)
  if (ak.symmetric !== undefined) throw unusable(record, 'AK has a symmetric cipher, expected none')
}

// A certificate that cannot be read proves nothing and is not relied on: only `ek_ca_path` does, and refuses it.
function requireMatchingCertificate(record: RegisteredRecord, ek: TpmPublic): void {
  if (record.ekCert === undefined) return
  if (certifiedKey(record.ekCert, ek) !== 'other') return
  throw unusable(record, 'EK certificate is for another key than the registered EK')
}

function hex32(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}

function unusable(record: RegisteredRecord, reason: string, cause?: unknown): KeylimeError {
  return new KeylimeError(
    'KEYLIME_BAD_RESPONSE',
    `keylime registrar record of agent ${record.agentId} is unusable: ${reason}`,
    {
      ...(cause === undefined ? {} : { cause }),
      facts: { agent_id: record.agentId },
    },
  )
}
