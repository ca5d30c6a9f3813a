/**
 * A quote with the PCR values behind it, taken so that they agree.
 *
 * @module
 */
import { type PcrSelection, parseAttest, parseSignature, pcrDigestOf } from '@tower-of-omens/tpm'
import { pcrRead, quote, type SignedAttest } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from './device-error.ts'
import type { Tpm } from './tpm.ts'

/** A quote and its PCR values. */
export interface PcrQuote extends SignedAttest {
  /** By PCR number, ascending. */
  readonly values: ReadonlyMap<number, Buffer>
}

const ATTEMPTS = 5

/**
 * Quotes PCRs.
 *
 * @param tpm An open TPM.
 * @param key Handle of a loaded attestation key.
 * @param extraData What is signed beside them.
 * @param selection The PCRs, ascending.
 * @returns The quote, and the values whose digest it signs.
 * @throws {TpmDeviceError} `TPM_BANK_INACTIVE`; `TPM_PCR_UNSTEADY`: a PCR was extended between quote and reading, five
 *   times in a row. Others as {@link Tpm.run}.
 */
export async function quotePcrs(
  tpm: Tpm,
  key: number,
  extraData: Uint8Array,
  selection: PcrSelection,
): Promise<PcrQuote> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const signed = await tpm.run(quote(key, extraData, selection))
    const values = await readPcrs(tpm, selection)
    const { hashAlg } = parseSignature(signed.signature)
    const digest = pcrDigestOf(hashAlg, { selection, values: [...values.values()] })
    if (parseAttest(signed.attest).pcrDigest.equals(digest)) return { ...signed, values }
  }
  throw new TpmDeviceError(
    'TPM_PCR_UNSTEADY',
    `PCRs ${selection.pcrs.join(', ')} of tpm ${tpm.path} changed during each of ${ATTEMPTS} quotes: something extends one of them all the time; leave it out of the PCRs asked for`,
  )
}

/**
 * Reads PCRs, however many.
 *
 * @param tpm An open TPM.
 * @param selection The PCRs, ascending.
 * @returns Values by PCR number, ascending.
 * @throws {TpmDeviceError} `TPM_BANK_INACTIVE`: the TPM keeps no such bank. Others as {@link Tpm.run}.
 */
export async function readPcrs(tpm: Tpm, { hashAlg, pcrs }: PcrSelection): Promise<ReadonlyMap<number, Buffer>> {
  const values = new Map<number, Buffer>()
  for (let left = pcrs; left.length > 0; left = pcrs.filter((pcr) => !values.has(pcr))) {
    const some = await tpm.run(pcrRead({ hashAlg, pcrs: left }))
    if (some.size === 0) {
      throw new TpmDeviceError(
        'TPM_BANK_INACTIVE',
        `tpm ${tpm.path} keeps no ${hashAlg} bank for PCR ${left.join(', ')}: choose another bank, or activate it (tpm2_pcrallocate)`,
      )
    }
    for (const [pcr, value] of some) values.set(pcr, value)
  }
  return values
}
