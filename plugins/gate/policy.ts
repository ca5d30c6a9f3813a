/**
 * A Keylime `tpm_policy` as it is enrolled or pinned: its mask, its allowed values, and its one canonical form.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import { cut } from '@tower-of-omens/keylime'

/** The highest PCR that a TPM 2.0 of a PC has. */
export const LAST_PCR = 23
/** Bound on the text before it is parsed; 24 PCRs with dozens of values each fit. */
const MAX_POLICY_CHARACTERS = 65_536

/** A `tpm_policy` that has been read: equal policies have equal `canonical` texts. */
export interface TpmPolicy {
  /** Bit n: PCR n is in the quote that the verifier asks for. */
  readonly mask: number
  /** PCR number to its allowed values, lower case hex, sorted; never empty lists. */
  readonly allowed: ReadonlyMap<number, readonly string[]>
  /** One-line JSON: the mask first, PCRs in order, values lower case and sorted. */
  readonly canonical: string
  /** SHA-256 of `canonical`, hex. */
  readonly sha256: string
}

/** Reports a `tpm_policy` that cannot be read; the message says where. */
export class TpmPolicyError extends Error {
  override readonly name = 'TpmPolicyError'
}

/**
 * Reads a `tpm_policy` text as Keylime's verifier stores it or as its tenant takes it.
 *
 * @param text JSON object: `mask` as "0x" hex, and PCR numbers 0-23 each with one allowed value or a list of them (hex).
 *   Without `mask` it is made of the PCRs listed, as `keylime_tenant` does. At most 64 KiB.
 * @returns The policy with its canonical form and hash.
 * @throws {TpmPolicyError} Not a JSON object, an unknown key, a mask or value that is not hex, a PCR out of range.
 */
export function parseTpmPolicy(text: string): TpmPolicy {
  const allowed = new Map<number, readonly string[]>()
  let mask: number | undefined
  for (const [key, value] of parseMembers(text)) {
    if (key === 'mask') mask = parseMask(value)
    else {
      const values = parseValues(key, value)
      if (values.length > 0) allowed.set(parsePcr(key), values)
    }
  }
  mask ??= [...allowed.keys()].reduce((bits, pcr) => bits | (1 << pcr), 0)
  const canonical = canonicalText(mask, allowed)
  return { mask, allowed, canonical, sha256: createHash('sha256').update(canonical).digest('hex') }
}

function parseMembers(text: string): readonly (readonly [string, unknown])[] {
  if (text.length > MAX_POLICY_CHARACTERS) {
    throw new TpmPolicyError(`longer than ${String(MAX_POLICY_CHARACTERS)} characters`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new TpmPolicyError('not valid JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TpmPolicyError('not a JSON object')
  }
  return Object.entries(value)
}

// Only "0x" hex: a bare "90" is hex to the Keylime agent and decimal to people, so it is refused rather than guessed.
function parseMask(value: unknown): number {
  if (value === 0 || value === '0') return 0
  if (typeof value !== 'string' || !/^0[xX][0-9a-fA-F]{1,16}$/.test(value)) {
    throw new TpmPolicyError(`mask ${shown(value)} is not hex such as "0x480"`)
  }
  const mask = Number(value)
  if (mask >= 2 ** (LAST_PCR + 1))
    throw new TpmPolicyError(`mask ${shown(value)} names a PCR above ${String(LAST_PCR)}`)
  return mask
}

function parsePcr(key: string): number {
  const pcr = /^\d{1,2}$/.test(key) ? Number(key) : -1
  if (pcr < 0 || pcr > LAST_PCR) {
    throw new TpmPolicyError(`key ${shown(key)} is neither "mask" nor a PCR number from 0 to ${String(LAST_PCR)}`)
  }
  return pcr
}

function parseValues(key: string, value: unknown): readonly string[] {
  parsePcr(key)
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const values = list.map((item) => {
    if (typeof item !== 'string' || !/^(?:[0-9a-fA-F]{2}){20,64}$/.test(item)) {
      throw new TpmPolicyError(`PCR ${key} has the value ${shown(item)}, expected a digest of 40 to 128 hex digits`)
    }
    return item.toLowerCase()
  })
  return [...new Set(values)].toSorted()
}

function shown(value: unknown): string {
  return cut(JSON.stringify(value) ?? 'nothing', 60)
}

function canonicalText(mask: number, allowed: ReadonlyMap<number, readonly string[]>): string {
  const pcrs = [...allowed].toSorted(([left], [right]) => left - right)
  const members = pcrs.map(([pcr, values]) => `"${String(pcr)}":${JSON.stringify(values)}`)
  return `{${[`"mask":"0x${mask.toString(16)}"`, ...members].join(',')}}`
}
