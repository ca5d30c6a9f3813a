/**
 * Public areas that keys are made from: endorsement keys, storage keys, attestation keys and signing keys.
 *
 * @see TCG EK Credential Profile 2.5, B.3.3 and B.3.4 (templates L-1, L-2); TCG TPM v2.0 Provisioning Guidance 1.0,
 *   7.5.1 (storage root key)
 * @module
 */
import { ALG, hashId } from '../algorithms.ts'
import { tpm2b, u16, u32 } from '../encode.ts'

/** Kinds of signing key that can be made. */
export type SigningKeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048'

/** Kinds of endorsement key that can be made anew from a template. */
export type EkType = 'rsa-2048' | 'ec-p256'

// fixedTPM | fixedParent | sensitiveDataOrigin | adminWithPolicy | restricted | decrypt
const EK_ATTRIBUTES = 0x000300b2
// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | decrypt
const STORAGE_ATTRIBUTES = 0x00030472
// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | restricted | sign
const AK_ATTRIBUTES = 0x00050072
// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | sign: a wrong password locks nobody out, since
// there is none.
const SIGNING_ATTRIBUTES = 0x00040472

// PolicyA: PolicySecret of the endorsement hierarchy.
const POLICY_A_SHA256 = Buffer.from('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa', 'hex')
const CFB = 0x0043
const CURVE_ID = { 'ec-p256': 0x0003, 'ec-p384': 0x0004 } as const
const RSA_BITS = 2048
const DEFAULT_EXPONENT = 0
const AES_128_CFB = Buffer.concat([u16(ALG.aes), u16(128), u16(CFB)])
const NONE = u16(ALG.null)

/**
 * Gives the template that makers make the low-range endorsement keys from, so that the same key comes of it.
 *
 * @param type RSA (L-1) or P-256 (L-2).
 * @returns TPMT_PUBLIC.
 */
export function ekTemplate(type: EkType): Buffer {
  const head = publicHead(type, EK_ATTRIBUTES, POLICY_A_SHA256)
  if (type === 'rsa-2048') return Buffer.concat([head, AES_128_CFB, NONE, rsaParameters(), tpm2b(Buffer.alloc(256))])
  const zero = tpm2b(Buffer.alloc(32))
  return Buffer.concat([head, AES_128_CFB, NONE, u16(CURVE_ID[type]), NONE, zero, zero])
}

/** Gives the template of the storage root key on P-256. @returns TPMT_PUBLIC. */
export function storageTemplate(): Buffer {
  const zero = tpm2b(Buffer.alloc(32))
  const parameters = Buffer.concat([AES_128_CFB, NONE, u16(CURVE_ID['ec-p256']), NONE])
  return Buffer.concat([publicHead('ec-p256', STORAGE_ATTRIBUTES), parameters, zero, zero])
}

/** Gives the template of an RSA attestation key as a Keylime agent makes it. @returns TPMT_PUBLIC. */
export function akTemplate(): Buffer {
  const scheme = Buffer.concat([u16(ALG.rsassa), u16(hashId('sha256'))])
  return Buffer.concat([publicHead('rsa-2048', AK_ATTRIBUTES), NONE, scheme, rsaParameters(), tpm2b()])
}

/**
 * Gives the template of a key that signs digests of the caller's; each signature chooses scheme and hash.
 *
 * @param type The key's type.
 * @returns TPMT_PUBLIC.
 */
export function signingTemplate(type: SigningKeyType): Buffer {
  const head = Buffer.concat([publicHead(type, SIGNING_ATTRIBUTES), NONE, NONE])
  if (type === 'rsa-2048') return Buffer.concat([head, rsaParameters(), tpm2b()])
  return Buffer.concat([head, u16(CURVE_ID[type]), NONE, tpm2b(), tpm2b()])
}

function publicHead(type: SigningKeyType, attributes: number, policy: Uint8Array = Buffer.alloc(0)): Buffer {
  const alg = type === 'rsa-2048' ? ALG.rsa : ALG.ecc
  return Buffer.concat([u16(alg), u16(hashId('sha256')), u32(attributes), tpm2b(policy)])
}

function rsaParameters(): Buffer {
  return Buffer.concat([u16(RSA_BITS), u32(DEFAULT_EXPONENT)])
}
