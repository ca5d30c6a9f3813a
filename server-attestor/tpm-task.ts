/**
 * The task of a node that quotes by itself: which PCRs, and a credential that only the TPM of its claimed keys opens.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { KeylimeError } from '@tower-of-omens/keylime'
import { type BoundTask, boundNonce, type Payload, type TpmTask } from '@tower-of-omens/keylime/evidence'
import { type HashAlg, makeCredential, nameOf, parseTpm2bPublic, TpmError, type TpmPublic } from '@tower-of-omens/tpm'

/** PCRs a node quotes: those that stand still after the boot, and that no process can reset. */
export const QUOTED_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15]

/** A task as the challenge carries it, and what its answer is held against. */
export interface IssuedTask {
  readonly task: TpmTask
  readonly expected: BoundTask
}

const SECRET_BYTES = 32

/**
 * Issues a task. Asks nobody: the keys are the node's own claim.
 *
 * @param payload The node's, with keys.
 * @param attestation Its nonce, the trust domain, the PCR bank.
 * @returns The task, with the one extraData that answers it.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: a claimed key is none, or none that a credential can be sealed for.
 */
export function issueTask(
  { agentId, keys }: Payload & { readonly keys: NonNullable<Payload['keys']> },
  { nonce, trustDomain, bank }: { readonly nonce: string; readonly trustDomain: string; readonly bank: HashAlg },
): IssuedTask {
  const secret = randomBytes(SECRET_BYTES)
  const sealed = sealFor(keys, secret)
  const pcrs = QUOTED_PCRS
  const extraData = boundNonce({ trustDomain, nonce, agentId, bank, pcrs, secret })
  return { task: { bank, pcrs, ...sealed }, expected: { keys, extraData, bank, pcrs } }
}

function sealFor(keys: NonNullable<Payload['keys']>, secret: Buffer): Pick<TpmTask, 'credential' | 'secret'> {
  const [ek, ak] = [readKey('EK', keys.ek), readKey('AK', keys.ak)]
  try {
    return makeCredential(ek, nameOf(ak), secret)
  } catch (error) {
    throw unusable('EK', error)
  }
}

function readKey(field: 'EK' | 'AK', bytes: Uint8Array): TpmPublic {
  try {
    return parseTpm2bPublic(bytes)
  } catch (error) {
    throw unusable(field, error)
  }
}

function unusable(field: 'EK' | 'AK', error: unknown): unknown {
  if (!(error instanceof TpmError)) return error
  return new KeylimeError('KEYLIME_BAD_MESSAGE', `payload field ${field} is not usable: ${error.message}`, {
    cause: error,
  })
}
