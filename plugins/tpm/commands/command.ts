/**
 * TPM 2.0 commands as bytes, each with the reader of its response; nothing here touches a device.
 *
 * @see TCG TPM 2.0 Library, Part 1, 18 (Command/Response Structure)
 * @module
 */
import type { ByteReader } from '../byte-reader.ts'
import { tpm2b, u8, u16, u32 } from '../encode.ts'
import { openResponse } from './response.ts'

/** A command ready to be sent, and how its response is read. */
export interface TpmCommand<Answer> {
  /** Name in the TPM specification without `TPM2_`. */
  readonly name: string
  readonly bytes: Buffer
  /**
   * Reads the response.
   *
   * @param response Untrusted bytes.
   * @returns What the command asked for.
   * @throws {TpmResponseError} The TPM refused the command.
   * @throws {TpmError} `TPM_TRUNCATED`, `TPM_TRAILING`, `TPM_MALFORMED`, `TPM_UNSUPPORTED`: not a response to it.
   */
  parse(response: Uint8Array): Answer
}

/** Authorisation of the use of one handle: a password, or a policy session. */
export interface Authorization {
  readonly session: number
  /** The password; never logged. Empty for a policy session. */
  readonly secret: Uint8Array
}

/** Fields of a command besides its framing. */
export interface CommandFields<Answer> {
  readonly name: string
  /** TPM_CC. */
  readonly code: number
  readonly handles?: readonly number[]
  readonly authorizations?: readonly Authorization[]
  readonly parameters?: readonly Uint8Array[]
  /** Reads the response's parameters to their end; a handle, where the response has one, comes apart. */
  readonly read: (parameters: ByteReader, handle: number) => Answer
  /** Whether the response begins with the handle of what was loaded. */
  readonly hasHandle?: boolean
}

/** Permanent handles of hierarchies. */
export const HIERARCHY = { owner: 0x40000001, null: 0x40000007, endorsement: 0x4000000b } as const

const PASSWORD_SESSION = 0x40000009
const TAG_NO_SESSIONS = 0x8001
const TAG_SESSIONS = 0x8002
const HEADER_BYTES = 10

/**
 * Makes the authorisation by a password.
 *
 * @param secret The password, without trailing zeros; default none, as Keylime and SPIRE leave their keys.
 * @returns The authorisation.
 */
export function byPassword(secret: Uint8Array = Buffer.alloc(0)): Authorization {
  return { session: PASSWORD_SESSION, secret }
}

/** Makes the authorisation by a policy session, which the command ends. @param session Its handle. @returns It. */
export function byPolicy(session: number): Authorization {
  return { session, secret: Buffer.alloc(0) }
}

/**
 * Frames a command.
 *
 * @param fields Its name, code, handles, authorisations, parameters, and the reader of its response.
 * @returns The command.
 */
export function newCommand<Answer>(fields: CommandFields<Answer>): TpmCommand<Answer> {
  const { name, code, handles = [], authorizations = [], parameters = [], read, hasHandle = false } = fields
  const area = Buffer.concat(authorizations.map(encodeAuthorization))
  const rest = Buffer.concat([
    ...handles.map(u32),
    ...(authorizations.length > 0 ? [u32(area.length), area] : []),
    ...parameters,
  ])
  const tag = authorizations.length > 0 ? TAG_SESSIONS : TAG_NO_SESSIONS
  return {
    name,
    bytes: Buffer.concat([u16(tag), u32(HEADER_BYTES + rest.length), u32(code), rest]),
    parse: (response) => {
      const opened = openResponse(name, response, { hasHandle, sessions: authorizations.length })
      const answer = read(opened.parameters, opened.handle)
      opened.parameters.end()
      return answer
    },
  }
}

// Session attributes are zero: a policy session ends with the command that uses it.
function encodeAuthorization({ session, secret }: Authorization): Buffer {
  return Buffer.concat([u32(session), tpm2b(), u8(0), tpm2b(secret)])
}
