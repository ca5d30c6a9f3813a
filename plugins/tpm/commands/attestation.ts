/**
 * Commands of attestation: quotes, the PCR values behind them, and the activation of a credential.
 *
 * @see TCG TPM 2.0 Library, Part 3, 12.5 (ActivateCredential), 18.2 (Certify), 18.4 (Quote), 22.4 (PCR_Read)
 * @module
 */
import { ALG, digestBytes, MAX_DIGEST_BYTES } from '../algorithms.ts'
import { type PcrSelection, readSelections } from '../attest.ts'
import type { ByteReader } from '../byte-reader.ts'
import { tpm2b, u16 } from '../encode.ts'
import { encodeSelection } from '../pcr-selection.ts'
import { parseSignature } from '../signature.ts'
import { type Authorization, byPassword, newCommand, type TpmCommand } from './command.ts'

/** A statement of the TPM and its signature. */
export interface SignedAttest {
  /** TPMS_ATTEST. */
  readonly attest: Buffer
  /** TPMT_SIGNATURE. */
  readonly signature: Buffer
}

/** What a challenger sealed for one key of one TPM. */
export interface SealedCredential {
  /** TPM2B_ID_OBJECT. */
  readonly credential: Buffer
  /** TPM2B_ENCRYPTED_SECRET. */
  readonly secret: Buffer
}

const MAX_ATTEST_BYTES = 0xffff
const MAX_SIGNATURE_BYTES = 1024
const MAX_PCRS_A_CALL = 8
// The key's own scheme.
const NO_SCHEME = u16(ALG.null)

/**
 * Has a restricted key sign the state of PCRs.
 *
 * @param key Handle of the attestation key, which has no password.
 * @param extraData Up to 34 bytes fit every TPM.
 * @param selection The PCRs.
 * @returns The command; the signature it answers with has the form of RSASSA or ECDSA.
 */
export function quote(key: number, extraData: Uint8Array, selection: PcrSelection): TpmCommand<SignedAttest> {
  return newCommand({
    name: 'Quote',
    code: 0x158,
    handles: [key],
    authorizations: [byPassword()],
    parameters: [tpm2b(extraData), NO_SCHEME, encodeSelection(selection)],
    read: readSigned,
  })
}

/**
 * Has a key certify another, or itself.
 *
 * @param object Handle of what is certified.
 * @param signer Handle of the signing key.
 * @param extraData Up to 34 bytes fit every TPM.
 * @returns The command.
 */
export function certify(object: number, signer: number, extraData: Uint8Array): TpmCommand<SignedAttest> {
  return newCommand({
    name: 'Certify',
    code: 0x148,
    handles: [object, signer],
    authorizations: [byPassword(), byPassword()],
    parameters: [tpm2b(extraData), NO_SCHEME],
    read: readSigned,
  })
}

/**
 * Reads PCRs: at most eight values come at once.
 *
 * @param selection The PCRs wanted.
 * @returns The command; it answers with as many as the TPM gives in one call, none when the bank is not active.
 */
export function pcrRead(selection: PcrSelection): TpmCommand<ReadonlyMap<number, Buffer>> {
  return newCommand({
    name: 'PCR_Read',
    code: 0x17e,
    parameters: [encodeSelection(selection)],
    read: (reader) => {
      reader.u32('update counter')
      const pcrs = readSelections(reader).flatMap((answered) => requireBank(reader, answered, selection))
      const count = reader.u32('digest count')
      if (count !== pcrs.length || count > MAX_PCRS_A_CALL) {
        throw reader.malformed('digest count', `${pcrs.length}, as selected, at most ${MAX_PCRS_A_CALL}`, `${count}`)
      }
      const size = digestBytes(selection.hashAlg)
      return new Map(pcrs.map((pcr) => [pcr, readDigest(reader, size)]))
    },
  })
}

/**
 * Opens a sealed credential: possible only where the named key and the endorsement key share a TPM.
 *
 * @param key Handle of the key the credential names.
 * @param ek Handle of the endorsement key.
 * @param sealed The credential.
 * @param authorization Of the endorsement key: a policy session.
 * @returns The command; it answers with the secret that was sealed.
 */
export function activateCredential(
  key: number,
  ek: number,
  sealed: SealedCredential,
  authorization: Authorization,
): TpmCommand<Buffer> {
  return newCommand({
    name: 'ActivateCredential',
    code: 0x147,
    handles: [key, ek],
    authorizations: [byPassword(), authorization],
    parameters: [sealed.credential, sealed.secret],
    read: (reader) => Buffer.from(reader.sized(MAX_DIGEST_BYTES, 'certInfo')),
  })
}

function readSigned(reader: ByteReader): SignedAttest {
  const attest = Buffer.from(reader.sized(MAX_ATTEST_BYTES, 'attest'))
  const signature = Buffer.from(reader.rest(MAX_SIGNATURE_BYTES, 'signature'))
  parseSignature(signature)
  return { attest, signature }
}

function requireBank(reader: ByteReader, answered: PcrSelection, wanted: PcrSelection): readonly number[] {
  const isWanted =
    answered.hashAlg === wanted.hashAlg && answered.pcrs.every((pcr: number) => wanted.pcrs.includes(pcr))
  if (!isWanted) throw reader.malformed('selection', `PCRs of the ${wanted.hashAlg} bank that were asked for`, 'others')
  return answered.pcrs
}

function readDigest(reader: ByteReader, size: number): Buffer {
  const value = reader.sized(MAX_DIGEST_BYTES, 'digest')
  if (value.length !== size) throw reader.malformed('digest', `${size} bytes`, `${value.length}`)
  return Buffer.from(value)
}
