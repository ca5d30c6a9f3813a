/**
 * What a Keylime `tpm_policy` really checks: which PCRs are compared, which are only quoted, and whether IMA and boot log count.
 *
 * @module
 */
import { createHash } from 'node:crypto'

/** Is the highest PCR a TPM 2.0 of a PC has. */
const LAST_PCR = 23
/** Keylime binds its own public key here, so allowed values for it are never compared. @see keylime 9b1f6e6a, keylime/config.py */
const DATA_PCR = 16
/** IMA extends this PCR; Keylime replays the IMA log into it and never compares allowed values. */
const IMA_PCR = 10
/** The PCRs that Keylime's tenant puts in the mask with a measured boot policy. @see keylime 9b1f6e6a, keylime/config.py */
const MEASURED_BOOT_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]
/** Any process of the node can reset these, so what they hold says nothing of it. @see TCG PC Client PFP 1.05, 3.3.1 */
const RESETTABLE_PCRS: ReadonlySet<number> = new Set([DATA_PCR, 23])
/** Bounds the text before it is parsed; 24 PCRs with dozens of values each fit. */
const MAX_POLICY_CHARACTERS = 65_536

/** Is a `tpm_policy` that has been read: equal policies have equal `canonical` texts. */
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

/** Says what the verifier really checks of one node, as far as its record shows. */
export interface PolicyStrength {
  /** PCRs in the mask whose value must be one of the allowed ones. */
  readonly comparedPcrs: readonly number[]
  /** PCRs in the mask that nothing is compared with: Keylime logs "not found in tpm_policy, skipping" and passes. */
  readonly quotedPcrs: readonly number[]
  /** The boot log is replayed: a reference state is enrolled and every PCR of it is in the mask. */
  readonly measuredBoot: boolean
  /** The IMA log is checked: a runtime policy is enrolled and PCR 10 is in the mask. */
  readonly runtime: boolean
}

/** Names one thing that must really be checked. */
export type PolicyRequirement = 'pcr' | `pcr:${number}` | 'measured-boot' | 'runtime'

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
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}

function canonicalText(mask: number, allowed: ReadonlyMap<number, readonly string[]>): string {
  const pcrs = [...allowed].toSorted(([left], [right]) => left - right)
  const members = pcrs.map(([pcr, values]) => `"${String(pcr)}":${JSON.stringify(values)}`)
  return `{${[`"mask":"0x${mask.toString(16)}"`, ...members].join(',')}}`
}

/**
 * Works out what the verifier really checks under a policy.
 *
 * @param policy The policy enrolled, or undefined when it cannot be read: then nothing counts as checked.
 * @param enrolled `hasRuntimePolicy` and `hasMbRefstate` of the agent record.
 * @returns Compared and only quoted PCRs in order, and whether boot log and IMA log count.
 * @see keylime 9b1f6e6a, keylime/tpm/tpm_main.py, `check_pcrs`
 */
export function strengthOf(
  policy: TpmPolicy | undefined,
  enrolled: { readonly hasRuntimePolicy: boolean; readonly hasMbRefstate: boolean },
): PolicyStrength {
  const mask = policy?.mask ?? 0
  const masked = (pcr: number): boolean => ((mask >>> pcr) & 1) === 1
  const measuredBoot = enrolled.hasMbRefstate && MEASURED_BOOT_PCRS.every(masked)
  const runtime = enrolled.hasRuntimePolicy && masked(IMA_PCR)
  const comparedPcrs: number[] = []
  const quotedPcrs: number[] = []
  for (let pcr = 0; pcr <= LAST_PCR; pcr += 1) {
    if (!masked(pcr) || pcr === DATA_PCR) continue
    if (policy?.allowed.has(pcr) === true && pcr !== IMA_PCR) comparedPcrs.push(pcr)
    else if (!(pcr === IMA_PCR && runtime) && !(measuredBoot && MEASURED_BOOT_PCRS.includes(pcr))) quotedPcrs.push(pcr)
  }
  return { comparedPcrs, quotedPcrs, measuredBoot, runtime }
}

/**
 * Tells whether a policy checks nothing, whatever it asks to be quoted.
 *
 * @param strength From {@link strengthOf}.
 * @returns True when no PCR is compared and neither boot log nor IMA log counts.
 */
export function checksNothing(strength: PolicyStrength): boolean {
  return strength.comparedPcrs.length === 0 && !strength.measuredBoot && !strength.runtime
}

/**
 * Describes a policy's strength for a log line or a refusal.
 *
 * @param strength From {@link strengthOf}.
 * @returns One line such as `PCR 7 compared, PCR 4 only quoted, boot log unchecked, IMA log unchecked`.
 */
export function describeStrength(strength: PolicyStrength): string {
  const { comparedPcrs, quotedPcrs } = strength
  return [
    comparedPcrs.length === 0 ? 'no PCR compared' : `PCR ${comparedPcrs.join(', ')} compared`,
    ...(quotedPcrs.length === 0 ? [] : [`PCR ${quotedPcrs.join(', ')} only quoted`]),
    `boot log ${strength.measuredBoot ? 'checked' : 'unchecked'}`,
    `IMA log ${strength.runtime ? 'checked' : 'unchecked'}`,
  ].join(', ')
}

/**
 * Reads one element of `require_policy`.
 *
 * @param text `pcr`, `pcr:<0-23>`, `measured-boot` or `runtime`.
 * @returns The requirement, or undefined for any other text, PCR 10 and 16 included (Keylime never compares those).
 */
export function parseRequirement(text: string): PolicyRequirement | undefined {
  if (text === 'pcr' || text === 'measured-boot' || text === 'runtime') return text
  const pcr = /^pcr:(0|[1-9]\d?)$/.exec(text)?.[1]
  if (pcr === undefined || Number(pcr) > LAST_PCR) return undefined
  return Number(pcr) === IMA_PCR || Number(pcr) === DATA_PCR ? undefined : `pcr:${Number(pcr)}`
}

/**
 * Lists what a policy was required to check and does not.
 *
 * @param strength From {@link strengthOf}.
 * @param required From `require_policy`.
 * @returns The requirements not met, in the order given.
 */
export function unmetRequirements(
  strength: PolicyStrength,
  required: readonly PolicyRequirement[],
): readonly PolicyRequirement[] {
  return required.filter((requirement) => !meets(strength, requirement))
}

function meets(strength: PolicyStrength, requirement: PolicyRequirement): boolean {
  switch (requirement) {
    case 'pcr':
      return strength.comparedPcrs.some((pcr) => !RESETTABLE_PCRS.has(pcr))
    case 'measured-boot':
      return strength.measuredBoot
    case 'runtime':
      return strength.runtime
    default:
      return strength.comparedPcrs.includes(Number(requirement.slice('pcr:'.length)))
  }
}
