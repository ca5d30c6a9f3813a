/**
 * The endorsement key: found among the persistent keys, else made anew from a template, and used under its policy.
 *
 * @module
 */

import { parseTpm2bPublic, TpmError, type TpmPublic } from '@tower-of-omens/tpm'
import {
  type Authorization,
  byPassword,
  byPolicy,
  createPrimary,
  type EkType,
  ekTemplate,
  FIRST_HANDLE,
  flushContext,
  getHandles,
  HIERARCHY,
  policySecretOfEndorsement,
  readPublic,
  startPolicySession,
} from '@tower-of-omens/tpm/commands'
import type { Tpm } from './tpm.ts'

/** An endorsement key that can be used. */
export interface EndorsementKey {
  readonly handle: number
  /** Whether it was loaded for us, and must be flushed. */
  readonly isTransient: boolean
  readonly key: TpmPublic
  /** TPM2B_PUBLIC. */
  readonly publicArea: Buffer
}

const TEMPLATES: readonly EkType[] = ['rsa-2048', 'ec-p256']
const USER_WITH_AUTH = 0x40

/**
 * Finds an endorsement key.
 *
 * @param tpm An open TPM.
 * @param isWanted Recognises the key.
 * @param secret Password of the endorsement hierarchy; default none.
 * @returns The key, persistent if there is such a one; undefined: this TPM has no such key.
 * @throws {TpmResponseError} `AUTH_FAIL`, `BAD_AUTH`: the hierarchy has another password.
 */
export async function findEndorsementKey(
  tpm: Tpm,
  isWanted: (key: TpmPublic) => boolean,
  secret?: Uint8Array,
): Promise<EndorsementKey | undefined> {
  for (const handle of await tpm.run(getHandles(FIRST_HANDLE.persistent))) {
    const publicArea = await tpm.run(readPublic(handle))
    const key = readable(publicArea)
    if (key !== undefined && isWanted(key)) return { handle, isTransient: false, key, publicArea }
  }
  for (const type of TEMPLATES) {
    const made = await tpm.run(createPrimary(HIERARCHY.endorsement, ekTemplate(type), byPassword(secret)))
    const key = readable(made.publicArea)
    if (key !== undefined && isWanted(key)) return { ...made, isTransient: true, key }
    await tpm.run(flushContext(made.handle))
  }
  return undefined
}

/**
 * Runs one command that uses an endorsement key.
 *
 * @param tpm An open TPM.
 * @param ek The key.
 * @param work Runs the command with the authorisation given.
 * @param secret Password of the endorsement hierarchy; default none.
 * @returns What `work` returns.
 * @throws {TpmResponseError} As `work`, or the hierarchy has another password.
 */
export async function withEndorsementKey<Result>(
  tpm: Tpm,
  ek: EndorsementKey,
  work: (authorization: Authorization) => Promise<Result>,
  secret?: Uint8Array,
): Promise<Result> {
  // The high-range templates let the key's own password do, which is empty; their policy is an OR of several.
  if (ek.key.attributes & USER_WITH_AUTH) return await work(byPassword())
  return await tpm.inTurn(() => withSession(tpm, ek, work, secret))
}

async function withSession<Result>(
  tpm: Tpm,
  ek: EndorsementKey,
  work: (authorization: Authorization) => Promise<Result>,
  secret: Uint8Array | undefined,
): Promise<Result> {
  const session = await tpm.run(startPolicySession(ek.key.nameAlg))
  try {
    await tpm.run(policySecretOfEndorsement(session, secret))
    return await work(byPolicy(session))
  } catch (error) {
    // The command that succeeds ends the session; one that fails leaves it.
    await tpm.run(flushContext(session)).catch(() => undefined)
    throw error
  }
}

function readable(publicArea: Buffer): TpmPublic | undefined {
  try {
    return parseTpm2bPublic(publicArea)
  } catch (error) {
    if (error instanceof TpmError) return undefined
    throw error
  }
}
