/**
 * What an enrolled policy is worth: which PCRs the verifier compares, which it only has quoted, and what else it is told to check.
 *
 * The verifier's record shows what is enrolled. It shows neither the boot log nor the IMA log, nor what comparing them
 * comes to, so nothing here says more than "enrolled" of the two.
 *
 * @module
 */
import { LAST_PCR, type TpmPolicy } from './policy.ts'

/** Keylime binds its own public key here, so allowed values for it are never compared. @see keylime 9b1f6e6a, keylime/config.py */
const DATA_PCR = 16
/** IMA extends this PCR; Keylime replays the IMA log into it and never compares allowed values. */
const IMA_PCR = 10
/** The PCRs that Keylime's tenant puts in the mask with a measured boot policy. @see keylime 9b1f6e6a, keylime/config.py */
const MEASURED_BOOT_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]
/** The PCRs that firmware and boot loader write and no process can reset. @see TCG PC Client PFP 1.05, 3.3.1 */
const BOOT_PCRS: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14])
/** The value of a PCR that nobody has extended: zeros, or ones where only a dynamic launch writes. */
const UNTOUCHED = /^(?:0+|f+)$/
/** The measured boot policy that a verifier runs with unless told otherwise, which takes every boot. */
const ACCEPTS_ALL = 'accept-all'

/** What an operator says of the measured boot policy in verifier.conf, which no API shows. */
export type MeasuredBootVouch = 'not-said' | 'compares' | 'accepts-all'

/** What the verifier checks of one node, as far as its record and the operator say. */
export interface PolicyStrength {
  /** PCRs in the mask whose value must be one of the allowed ones. */
  readonly comparedPcrs: readonly number[]
  /**
   * Those of `comparedPcrs` that tell something of what was booted: PCR 0-9 or 11-14, and no value is allowed that the
   * PCR has where nobody extended it.
   */
  readonly bootPcrs: readonly number[]
  /** PCRs in the mask that nothing is compared with: Keylime logs "not found in tpm_policy, skipping" and passes. */
  readonly quotedPcrs: readonly number[]
  /** A reference state for the boot log is enrolled, every PCR of it is in the mask, and the policy is not known to accept all. */
  readonly measuredBootEnrolled: boolean
  /** Also, the operator vouches that the verifier's measured boot policy compares it. */
  readonly measuredBoot: boolean
  /** A runtime policy for the IMA log is enrolled and PCR 10 is in the mask. */
  readonly runtime: boolean
}

/** One thing that must be checked. */
export type PolicyRequirement = 'pcr' | `pcr:${number}` | 'measured-boot' | 'measured-boot-enrolled' | 'runtime'

/**
 * Reads what naming the verifier's measured boot policy vouches for.
 *
 * @param name `measured_boot_policy_name` of verifier.conf; undefined when the operator does not say.
 * @returns `accepts-all` for Keylime's default, which compares the boot log with nothing.
 */
export function vouchOf(name: string | undefined): MeasuredBootVouch {
  if (name === undefined) return 'not-said'
  return name === ACCEPTS_ALL ? 'accepts-all' : 'compares'
}

/**
 * Works out what the verifier checks under a policy.
 *
 * @param policy The policy enrolled, or undefined when it cannot be read: then nothing counts as checked.
 * @param enrolled `hasRuntimePolicy` and `hasMbRefstate` of the agent record.
 * @param vouch What the operator says of the verifier's measured boot policy.
 * @returns Compared and only quoted PCRs in order, and whether policies for boot log and IMA log are in force.
 * @see keylime 9b1f6e6a, keylime/tpm/tpm_main.py, `check_pcrs`
 */
export function strengthOf(
  policy: TpmPolicy | undefined,
  enrolled: { readonly hasRuntimePolicy: boolean; readonly hasMbRefstate: boolean },
  vouch: MeasuredBootVouch = 'not-said',
): PolicyStrength {
  const mask = policy?.mask ?? 0
  const masked = (pcr: number): boolean => ((mask >>> pcr) & 1) === 1
  const measuredBootEnrolled = enrolled.hasMbRefstate && MEASURED_BOOT_PCRS.every(masked) && vouch !== 'accepts-all'
  const runtime = enrolled.hasRuntimePolicy && masked(IMA_PCR)
  const comparedPcrs: number[] = []
  const quotedPcrs: number[] = []
  for (let pcr = 0; pcr <= LAST_PCR; pcr += 1) {
    if (!masked(pcr) || pcr === DATA_PCR) continue
    const isReplayed = (pcr === IMA_PCR && runtime) || (measuredBootEnrolled && MEASURED_BOOT_PCRS.includes(pcr))
    if (policy?.allowed.has(pcr) === true && pcr !== IMA_PCR) comparedPcrs.push(pcr)
    else if (!isReplayed) quotedPcrs.push(pcr)
  }
  return {
    comparedPcrs,
    bootPcrs: comparedPcrs.filter((pcr) => BOOT_PCRS.has(pcr) && !allowsUntouched(policy?.allowed.get(pcr) ?? [])),
    quotedPcrs,
    measuredBootEnrolled,
    measuredBoot: measuredBootEnrolled && vouch === 'compares',
    runtime,
  }
}

function allowsUntouched(values: readonly string[]): boolean {
  return values.some((value) => UNTOUCHED.test(value))
}

/**
 * Tells whether a policy says nothing of what runs on a node, whatever it asks to be quoted.
 *
 * @param strength From {@link strengthOf}.
 * @returns True when no PCR that tells of the boot is compared, and no policy for boot log or IMA log is in force.
 */
export function checksNothing(strength: PolicyStrength): boolean {
  return strength.bootPcrs.length === 0 && !strength.measuredBootEnrolled && !strength.runtime
}

/**
 * Describes a policy's strength for a log line or a refusal.
 *
 * @param strength From {@link strengthOf}.
 * @returns One line such as `PCR 7 compared, PCR 4 only quoted, boot log unchecked, IMA log unchecked`.
 */
export function describeStrength(strength: PolicyStrength): string {
  const { comparedPcrs, bootPcrs, quotedPcrs } = strength
  const idle = comparedPcrs.filter((pcr) => !bootPcrs.includes(pcr))
  return [
    bootPcrs.length === 0
      ? `no PCR ${idle.length === 0 ? '' : 'that tells of the boot '}compared`
      : `${listed(bootPcrs)} compared`,
    ...(idle.length === 0 ? [] : [`${listed(idle)} compared with what any PC has or any process can set`]),
    ...(quotedPcrs.length === 0 ? [] : [`${listed(quotedPcrs)} only quoted`]),
    `boot log ${bootLogOf(strength)}`,
    `IMA log ${strength.runtime ? 'has a runtime policy' : 'unchecked'}`,
  ].join(', ')
}

function listed(pcrs: readonly number[]): string {
  return `PCR ${pcrs.join(', ')}`
}

function bootLogOf({ measuredBoot, measuredBootEnrolled }: PolicyStrength): string {
  if (measuredBoot) return 'has a reference state'
  return measuredBootEnrolled
    ? 'has a reference state, and whether anything is compared with it is not shown'
    : 'unchecked'
}

/**
 * Reads one element of `require_policy`.
 *
 * @param text `pcr`, `pcr:<0-23>`, `measured-boot`, `measured-boot-enrolled` or `runtime`.
 * @returns The requirement, or undefined for any other text, PCR 10 and 16 included (Keylime never compares those).
 */
export function parseRequirement(text: string): PolicyRequirement | undefined {
  if (text === 'pcr' || text === 'measured-boot' || text === 'measured-boot-enrolled' || text === 'runtime') return text
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
      return strength.bootPcrs.length > 0
    // Who does not say what the verifier's policy does is warned at Configure; no node is cut off for it.
    case 'measured-boot':
    case 'measured-boot-enrolled':
      return strength.measuredBootEnrolled
    case 'runtime':
      return strength.runtime
    default:
      return strength.comparedPcrs.includes(Number(requirement.slice('pcr:'.length)))
  }
}
