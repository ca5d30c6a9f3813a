/**
 * Commands that make keys, load them, read their public parts and take them out again. Nothing is made persistent.
 *
 * @see TCG TPM 2.0 Library, Part 3, 12 (Object Commands), 24.1 (CreatePrimary), 28.4 (FlushContext)
 * @module
 */
import { MAX_DIGEST_BYTES } from '../algorithms.ts'
import type { ByteReader } from '../byte-reader.ts'
import { tpm2b, u32 } from '../encode.ts'
import { type Authorization, byPassword, newCommand, type TpmCommand } from './command.ts'

/** A key that is loaded. */
export interface LoadedKey {
  readonly handle: number
  /** TPM2B_PUBLIC. */
  readonly publicArea: Buffer
}

/** A key that its parent has wrapped: useless without the TPM that made it. */
export interface WrappedKey {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Buffer
  /** TPM2B_PRIVATE. */
  readonly privateArea: Buffer
}

const MAX_AREA_BYTES = 0xffff
const MAX_NAME_BYTES = 2 + MAX_DIGEST_BYTES
// TPM2B_SENSITIVE_CREATE without password and data, TPM2B_DATA and TPML_PCR_SELECTION without content.
const NO_SENSITIVE = tpm2b(tpm2b(), tpm2b())
const NO_CREATION_FACTS = Buffer.concat([tpm2b(), u32(0)])

/**
 * Makes a primary key of a hierarchy: the same key each time for the same template.
 *
 * @param hierarchy A permanent handle.
 * @param template TPMT_PUBLIC.
 * @param authorization Of the hierarchy.
 * @returns The command; it answers with the loaded key.
 */
export function createPrimary(
  hierarchy: number,
  template: Uint8Array,
  authorization: Authorization = byPassword(),
): TpmCommand<LoadedKey> {
  return newCommand({
    name: 'CreatePrimary',
    code: 0x131,
    handles: [hierarchy],
    authorizations: [authorization],
    parameters: [NO_SENSITIVE, tpm2b(template), NO_CREATION_FACTS],
    hasHandle: true,
    read: (reader, handle) => {
      const publicArea = readSized(reader, 'public')
      skipCreationFacts(reader)
      reader.sized(MAX_NAME_BYTES, 'name')
      return { handle, publicArea }
    },
  })
}

/**
 * Makes a key under a loaded parent.
 *
 * @param parent The parent's handle.
 * @param template TPMT_PUBLIC.
 * @param authorization Of the parent.
 * @returns The command; it answers with the wrapped key, which is not loaded.
 */
export function create(
  parent: number,
  template: Uint8Array,
  authorization: Authorization = byPassword(),
): TpmCommand<WrappedKey> {
  return newCommand({
    name: 'Create',
    code: 0x153,
    handles: [parent],
    authorizations: [authorization],
    parameters: [NO_SENSITIVE, tpm2b(template), NO_CREATION_FACTS],
    read: (reader) => {
      const privateArea = readSized(reader, 'private')
      const publicArea = readSized(reader, 'public')
      skipCreationFacts(reader)
      return { privateArea, publicArea }
    },
  })
}

/**
 * Loads a wrapped key under its parent.
 *
 * @param parent The parent's handle.
 * @param key The key as `Create` gave it.
 * @param authorization Of the parent.
 * @returns The command; it answers with the key's handle.
 */
export function load(
  parent: number,
  key: WrappedKey,
  authorization: Authorization = byPassword(),
): TpmCommand<{ readonly handle: number; readonly name: Buffer }> {
  return newCommand({
    name: 'Load',
    code: 0x157,
    handles: [parent],
    authorizations: [authorization],
    parameters: [key.privateArea, key.publicArea],
    hasHandle: true,
    read: (reader, handle) => ({ handle, name: Buffer.from(reader.sized(MAX_NAME_BYTES, 'name')) }),
  })
}

/** Reads a key's public part. @param handle Of a loaded or persistent key. @returns The command; it answers TPM2B_PUBLIC. */
export function readPublic(handle: number): TpmCommand<Buffer> {
  return newCommand({
    name: 'ReadPublic',
    code: 0x173,
    handles: [handle],
    read: (reader) => {
      const publicArea = readSized(reader, 'public')
      reader.sized(MAX_NAME_BYTES, 'name')
      reader.sized(MAX_NAME_BYTES, 'qualified name')
      return publicArea
    },
  })
}

/** Takes a loaded key or a session out of the TPM. @param handle Its handle. @returns The command. */
export function flushContext(handle: number): TpmCommand<void> {
  return newCommand({ name: 'FlushContext', code: 0x165, parameters: [u32(handle)], read: () => undefined })
}

/** Reads a TPM2B and keeps its length, the form in which such areas are stored and sent. */
function readSized(reader: ByteReader, field: string): Buffer {
  return tpm2b(reader.sized(MAX_AREA_BYTES, field))
}

function skipCreationFacts(reader: ByteReader): void {
  reader.sized(MAX_AREA_BYTES, 'creation data')
  reader.sized(MAX_DIGEST_BYTES, 'creation hash')
  reader.u16('creation ticket tag')
  reader.u32('creation ticket hierarchy')
  reader.sized(MAX_DIGEST_BYTES, 'creation ticket')
}
