/**
 * TPM 2.0 bytes to types, signatures and names. Pure.
 *
 * @module
 */

export { digest, type HashAlg, isHashAlg } from './algorithms.ts'
export { describeSelections, type PcrSelection, parseAttest, type QuoteAttest } from './attest.ts'
export { ecdsaDer } from './ecdsa-der.ts'
export { makeCredential } from './make-credential.ts'
export { nameOf, qualifiedName } from './name.ts'
export { encodePcrBlob, extendFromReset, type PcrBlob, parsePcrBlob, pcrDigestOf } from './pcr-blob.ts'
export { parseTpm2bPublic, type TpmPublic } from './public.ts'
export { parseSignature, type TpmSignature, verifySignature } from './signature.ts'
export { TpmError } from './tpm-error.ts'
