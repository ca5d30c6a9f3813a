/**
 * What `tpm/1` adds to the messages: the node's keys in the payload, and in the challenge the PCRs to quote and a
 * credential that only the node's TPM opens. An older half ignores these fields, and both go on without them.
 *
 * @module
 */
import { type HashAlg, isHashAlg } from '@tower-of-omens/tpm'
import { badMessage, isLeftOut, type MessageFields, readBytes, readText } from './message-fields.ts'

/** Name and version of evidence that the agent half takes from the TPM itself. */
export const TPM_EVIDENCE = 'tpm/1'

/** Public keys of a node that quotes by itself, as TPM2B_PUBLIC; nothing is proved of them. */
export interface ClaimedKeys {
  readonly ek: Buffer
  readonly ak: Buffer
}

/** Task of a node that quotes by itself. */
export interface TpmTask {
  readonly bank: HashAlg
  /** Ascending, at least one, each below 24. */
  readonly pcrs: readonly number[]
  /** TPM2B_ID_OBJECT, sealed for the payload's keys. */
  readonly credential: Buffer
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly secret: Buffer
}

const PCR_COUNT = 24
// A TPM2B_PUBLIC of RSA-4096 takes under 600 bytes, an encrypted secret as many.
const MAX_STRUCTURE_BYTES = 1024

/** Words the payload's fields. @param keys The keys, or none. @returns Fields for `encodeMessage`. */
export function payloadFields(keys: ClaimedKeys | undefined): Readonly<Record<string, string | Uint8Array>> {
  return keys === undefined ? {} : { Evidence: TPM_EVIDENCE, EK: keys.ek, AK: keys.ak }
}

/**
 * Reads the payload's fields.
 *
 * @param fields Untrusted.
 * @returns The keys; undefined: the node offers no evidence of this version.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: it offers it and lacks a key.
 */
export function readClaimedKeys(fields: MessageFields): ClaimedKeys | undefined {
  if (!isOffered('payload', fields)) return undefined
  return { ek: readStructure('payload', fields, 'EK'), ak: readStructure('payload', fields, 'AK') }
}

/** Words the challenge's fields. @param task The task, or none. @returns Fields for `encodeMessage`. */
export function challengeFields(task: TpmTask | undefined): Readonly<Record<string, string | Uint8Array>> {
  if (task === undefined) return {}
  return {
    Evidence: TPM_EVIDENCE,
    PCRBank: task.bank,
    PCRs: pcrList(task.pcrs),
    Credential: task.credential,
    CredentialSecret: task.secret,
  }
}

/**
 * Reads the challenge's fields.
 *
 * @param fields Untrusted.
 * @returns The task; undefined: the server half is an older one, and asks for an identity quote.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: a field is missing or of another form.
 */
export function readTpmTask(fields: MessageFields): TpmTask | undefined {
  if (!isOffered('challenge', fields)) return undefined
  const bank = readText('challenge', fields, 'PCRBank')
  if (!isHashAlg(bank))
    throw badMessage('challenge field PCRBank is not a TPM hash algorithm: expected one such as sha256')
  return {
    bank,
    pcrs: parsePcrs(readText('challenge', fields, 'PCRs')),
    credential: readStructure('challenge', fields, 'Credential'),
    secret: readStructure('challenge', fields, 'CredentialSecret'),
  }
}

/** Spells PCRs as the challenge does. @param pcrs Ascending. @returns Such as `0,2,7`. */
export function pcrList(pcrs: readonly number[]): string {
  return pcrs.join(',')
}

function parsePcrs(text: string): readonly number[] {
  const pcrs = /^\d{1,2}(?:,\d{1,2})*$/.test(text) ? text.split(',').map(Number) : []
  const isAscending = pcrs.every((pcr, index) => pcr < PCR_COUNT && pcr > (pcrs[index - 1] ?? -1))
  if (pcrs.length > 0 && isAscending && pcrList(pcrs) === text) return pcrs
  throw badMessage('challenge field PCRs is not a list of PCRs: expected ascending numbers below 24, such as 0,2,7')
}

// A later version is answered as if none were offered: what it needs we do not know.
function isOffered(message: string, fields: MessageFields): boolean {
  return !isLeftOut(fields, 'Evidence') && readText(message, fields, 'Evidence') === TPM_EVIDENCE
}

function readStructure(message: string, fields: MessageFields, name: string): Buffer {
  const bytes = readBytes(message, fields, name)
  if (bytes.length <= MAX_STRUCTURE_BYTES) return bytes
  throw badMessage(`${message} field ${name}: expected at most ${MAX_STRUCTURE_BYTES} bytes, found ${bytes.length}`)
}
