/**
 * TPM 2.0 bytes to types, signatures and names. Pure.
 *
 * @module
 */

export { digest, type HashAlg, isHashAlg } from './algorithms.ts'
export { describeSelections, parseAttest, type QuoteAttest } from './attest.ts'
export { qualifiedName } from './name.ts'
export { extendFromReset, type PcrBlob, parsePcrBlob, pcrDigestOf } from './pcr-blob.ts'
export { parseTpm2bPublic, type TpmPublic } from './public.ts'
export { parseSignature, type TpmSignature, verifySignature } from './signature.ts'
export { TpmError } from './tpm-error.ts'
