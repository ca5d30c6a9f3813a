/**
 * Policies with old and new values side by side, for the time in which a host may run either.
 *
 * @module
 */

/** A TPM policy as Keylime stores it. */
export type TpmPolicyText = Readonly<Record<string, string | readonly string[]>>

/**
 * Reads a policy.
 *
 * @param text JSON of Keylime.
 * @returns Its members; values as lists.
 */
export function policyMembers(text: string): ReadonlyMap<string, readonly string[]> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return new Map()
  return new Map(Object.entries(value).map(([key, member]: [string, unknown]) => [key, listOf(member)]))
}

/**
 * Reads a policy for enrolment.
 *
 * @param text JSON of Keylime.
 * @returns The policy, each PCR with a list.
 */
export function policyText(text: string): TpmPolicyText {
  const members = [...policyMembers(text)].map(([key, values]): [string, string | readonly string[]] =>
    key === 'mask' ? [key, values[0] ?? '0x0'] : [key, values],
  )
  return Object.fromEntries(members)
}

/**
 * Makes a policy in which old and new values of each PCR pass.
 *
 * @param old What is enrolled.
 * @param now PCR to its new value.
 * @returns The policy; PCRs that were not compared before stay so.
 */
export function widened(old: string, now: ReadonlyMap<number, string>): TpmPolicyText {
  return changed(old, now, (values, value) => [...new Set([...values, value])])
}

/**
 * Makes a policy in which only new values pass.
 *
 * @param old What is enrolled.
 * @param now PCR to its new value.
 * @returns The policy.
 */
export function narrowed(old: string, now: ReadonlyMap<number, string>): TpmPolicyText {
  return changed(old, now, (_, value) => [value])
}

function changed(
  old: string,
  now: ReadonlyMap<number, string>,
  values: (before: readonly string[], value: string) => readonly string[],
): TpmPolicyText {
  return Object.fromEntries(
    [...policyMembers(old)].map(([key, before]): [string, string | readonly string[]] => {
      if (key === 'mask') return [key, before[0] ?? '0x0']
      const value = now.get(Number(key))
      return [key, value === undefined ? before : values(before, value)]
    }),
  )
}

/**
 * Makes a policy of proved values.
 *
 * @param pcrs PCR to value.
 * @param old The policy in whose place it comes, if any: what that has quoted goes on being quoted, since a list of files
 *   counts only with PCR 10 in the mask, and a boot log only with its PCRs.
 * @returns The policy.
 */
export function policyOf(pcrs: ReadonlyMap<number, string>, old = '{}'): TpmPolicyText {
  const quoted = Number(policyMembers(old).get('mask')?.[0] ?? 0)
  // Numbers of 32 bits have a sign, and a mask has none.
  const mask = [...pcrs.keys()].reduce((bits, pcr) => bits | (1 << pcr), quoted) >>> 0
  return {
    mask: `0x${mask.toString(16)}`,
    ...Object.fromEntries([...pcrs].map(([pcr, value]) => [String(pcr), [value]])),
  }
}

/**
 * Lists the PCRs that a policy compares.
 *
 * @param text JSON of Keylime.
 * @returns Numbers in order.
 */
export function comparedPcrs(text: string): readonly number[] {
  return [...policyMembers(text).keys()]
    .filter((key) => key !== 'mask')
    .map(Number)
    .toSorted((a, b) => a - b)
}

function listOf(member: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(member) ? member : [member]
  return list.map(String)
}
