/**
 * Keys in the form that SPIRE's tpm_devid attestor loads: under a storage key of its template, with a scheme of their own.
 *
 * @see spiffe/spire ef8527ec9, pkg/agent/plugin/nodeattestor/tpmdevid/tpmutil/session.go; TCG EK Credential Profile 2.3,
 *   templates H-1 and H-2 with an empty unique field
 * @module
 */
import { create, createPrimary, HIERARCHY, type LoadedKey, type WrappedKey } from '@tower-of-omens/tpm/commands'
import type { Tpm } from '@tower-of-omens/tpm-device'

/** Kinds of DevID keys. */
export type DevIdKeyType = 'ec' | 'rsa'

const [RSA, AES, SHA256, NULL, RSASSA, ECDSA, ECC] = [0x0001, 0x0006, 0x000b, 0x0010, 0x0014, 0x0018, 0x0023]
const [CFB, P256, RSA_BITS, AES_BITS] = [0x0043, 0x0003, 2048, 128]
// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | decrypt
const STORAGE_ATTRIBUTES = 0x00030472
// fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | sign
const SIGNING_ATTRIBUTES = 0x00040072

/**
 * Loads the storage key that DevID keys of a type lie under.
 *
 * @param tpm An open TPM.
 * @param type The DevID key's.
 * @returns The key, to be flushed by the caller.
 * @throws As {@link Tpm.run}.
 */
export function openDevIdParent(tpm: Tpm, type: DevIdKeyType): Promise<LoadedKey> {
  return tpm.run(createPrimary(HIERARCHY.owner, type === 'rsa' ? RSA_STORAGE : EC_STORAGE))
}

/**
 * Makes a DevID key.
 *
 * @param tpm An open TPM.
 * @param parent Handle of the storage key of its type.
 * @param type The key's.
 * @returns The wrapped key: it is of use in this TPM only.
 * @throws As {@link Tpm.run}.
 */
export function makeDevIdKey(tpm: Tpm, parent: number, type: DevIdKeyType): Promise<WrappedKey> {
  return tpm.run(create(parent, type === 'rsa' ? RSA_SIGNING : EC_SIGNING))
}

/**
 * Gives an area its length, as TPM commands carry it; SPIRE's files are without, those of tpm2-tools are with it.
 *
 * @param area Either.
 * @returns With the length.
 */
export function sized(area: Buffer): Buffer {
  if (area.length >= 2 && area.readUInt16BE(0) === area.length - 2) return area
  return Buffer.concat([u16(area.length), area])
}

/**
 * Takes the length off an area, as SPIRE's files are.
 *
 * @param area With its length.
 * @returns Without.
 */
export function unsized(area: Buffer): Buffer {
  return area.subarray(2)
}

function u16(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]))
}

function head(type: number, attributes: number): Buffer {
  const bits = Buffer.alloc(4)
  bits.writeUInt32BE(attributes)
  // Name algorithm, attributes, no policy.
  return Buffer.concat([u16(type, SHA256), bits, u16(0)])
}

const NO_EXPONENT = Buffer.alloc(4)
const CIPHER = u16(AES, AES_BITS, CFB)
const RSA_STORAGE = Buffer.concat([head(RSA, STORAGE_ATTRIBUTES), CIPHER, u16(NULL, RSA_BITS), NO_EXPONENT, u16(0)])
const EC_STORAGE = Buffer.concat([head(ECC, STORAGE_ATTRIBUTES), CIPHER, u16(NULL, P256, NULL, 0, 0)])
const RSA_SIGNING = Buffer.concat([
  head(RSA, SIGNING_ATTRIBUTES),
  u16(NULL, RSASSA, SHA256, RSA_BITS),
  NO_EXPONENT,
  u16(0),
])
const EC_SIGNING = Buffer.concat([head(ECC, SIGNING_ATTRIBUTES), u16(NULL, ECDSA, SHA256, P256, NULL, 0, 0)])
