/**
 * The file in which a Keylime agent keeps its attestation key, wrapped by its TPM.
 *
 * @see rust-keylime 3a4d5654, keylime/src/agent_data.rs (`AgentData`)
 * @module
 */

import { type HashAlg, isHashAlg } from '@tower-of-omens/tpm'
import * as v from 'valibot'
import { KeylimeError } from '../basis/errors.ts'

/** Where a Keylime agent keeps it unless `agent_data_path` says otherwise. */
export const DEFAULT_AGENT_DATA = '/var/lib/keylime/agent_data.json'

/** Attestation key of a Keylime agent. */
export interface AgentData {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Buffer
  /** TPM2B_PRIVATE: useless outside the TPM that made it. */
  readonly privateArea: Buffer
  /** The agent's hash algorithm. */
  readonly hashAlg: HashAlg
  /** SHA-256 of the EK's PEM, hex: the ID of an agent with `uuid = "hash_ek"`. */
  readonly ekHash: string
}

const MAX_AREA_BYTES = 2048
const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))
const area = v.pipe(v.array(byte), v.minLength(1), v.maxLength(MAX_AREA_BYTES))
const FILE = v.object({
  ak_hash_alg: v.string(),
  ak_public: area,
  ak_private: area,
  ek_hash: v.pipe(v.array(byte), v.length(64)),
})
const HEX = /^[0-9a-f]{64}$/

/**
 * Parses the file.
 *
 * @param text Its text.
 * @returns The key.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: not such a file, or half of one. Nothing of the text is in the message.
 */
export function parseAgentData(text: string): AgentData {
  const read = v.safeParse(FILE, parseJson(text))
  if (!read.success) throw bad(read.issues[0].path?.map(({ key }) => String(key)).join('.') ?? 'its JSON')
  const { ak_hash_alg, ak_public, ak_private, ek_hash } = read.output
  const hashAlg = ak_hash_alg.toLowerCase()
  if (!isHashAlg(hashAlg)) throw bad('ak_hash_alg')
  const ekHash = Buffer.from(ek_hash).toString('latin1')
  if (!HEX.test(ekHash)) throw bad('ek_hash')
  return { publicArea: sized(ak_public), privateArea: sized(ak_private), hashAlg, ekHash }
}

// The file has both without their lengths.
function sized(bytes: readonly number[]): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, Buffer.from(bytes)])
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function bad(field: string): KeylimeError {
  return new KeylimeError(
    'KEYLIME_BAD_RESPONSE',
    `it is not the file of a keylime agent's attestation key: ${field} is missing or of another form`,
  )
}
