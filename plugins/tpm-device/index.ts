/**
 * A TPM 2.0 at work: the kernel's device or a socket, the keys in it, and its quotes.
 *
 * @module
 */

export { type DeviceErrorCode, TpmDeviceError } from './device-error.ts'
export { type EndorsementKey, findEndorsementKey, withEndorsementKey } from './endorsement.ts'
export { type Closable, isLost, Kept } from './kept.ts'
export { readNvIndex } from './nv.ts'
export { currentUser, DEFAULT_TPM_PATH, groupName, openTpm, type TpmPath } from './open-tpm.ts'
export { type PcrQuote, quotePcrs, readPcrs } from './quote-pcrs.ts'
export { loadSigningKey, makeSigningKey, openStorageKey, signDigest } from './signing-keys.ts'
export { Tpm, type TpmOptions } from './tpm.ts'
