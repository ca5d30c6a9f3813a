/**
 * TPM bytes under fuzz: every parser gets every mutant, since structures cut into each other are what an attacker sends.
 *
 * @module
 */
import { parseAttest } from '../../plugins/tpm/attest.ts'
import { nameOf } from '../../plugins/tpm/name.ts'
import { parsePcrBlob } from '../../plugins/tpm/pcr-blob.ts'
import { parseTpm2bPublic } from '../../plugins/tpm/public.ts'
import { parseSignature } from '../../plugins/tpm/signature.ts'
import { TpmError } from '../../plugins/tpm/tpm-error.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const NONCE = 'A'.repeat(32)

function structuresOf(tpm: SoftwareTpm): Buffer[] {
  const parts = tpm.quote(NONCE).slice(1).split(':')
  return [tpm.akTpm, tpm.ekTpm, ...parts.map((part) => Buffer.from(part, 'base64'))]
}

const PARSERS: readonly ((bytes: Buffer) => unknown)[] = [
  (bytes) => nameOf(parseTpm2bPublic(bytes)),
  parseAttest,
  parseSignature,
  parsePcrBlob,
]

/** The TPM parsers. */
export const tpm: FuzzTarget = {
  name: 'tpm',
  mutants: 120_000,
  maxMs: 1000,
  corpus: [new SoftwareTpm({ slot: 0 }), new SoftwareTpm({ slot: 1, ak: 'ec-p256', ek: 'ec-p384' })].flatMap(
    structuresOf,
  ),
  pieces: ['0000', 'ffff', 'ffffffff', '0001', '0023', '000b', '0014', '0018', 'ff544347', '8018', '00050072'].map(
    (hex) => Buffer.from(hex, 'hex'),
  ),
  run(input) {
    const accepted = PARSERS.filter((parser) => {
      try {
        parser(input)
        return true
      } catch (error) {
        if (error instanceof TpmError) return false
        throw error
      }
    })
    return accepted.length > 0 ? 'accepted' : 'refused'
  },
}
