/**
 * TPM_RC: why a TPM refused a command.
 *
 * @see TCG TPM 2.0 Library, Part 2, 6.6 (TPM_RC) and Part 1, 39 (Response Code Evaluation)
 * @module
 */

/** The names of the response codes that this project acts on. */
export type ResponseCodeName =
  | 'AUTH_FAIL'
  | 'BAD_AUTH'
  | 'HANDLE'
  | 'INTEGRITY'
  | 'LOCKOUT'
  | 'OBJECT_MEMORY'
  | 'REFERENCE'
  | 'RETRY'
  | 'SESSION_MEMORY'
  | 'TESTING'
  | 'UNKNOWN_COMMAND'
  | 'VALUE'
  | 'YIELDED'

// Format one (bit 7): six bits of error, the rest says which parameter, handle or session is meant.
const FORMAT_ONE: ReadonlyMap<number, ResponseCodeName> = new Map([
  [0x04, 'VALUE'],
  [0x0b, 'HANDLE'],
  [0x0e, 'AUTH_FAIL'],
  [0x1f, 'INTEGRITY'],
  [0x22, 'BAD_AUTH'],
])

const WHOLE: ReadonlyMap<number, ResponseCodeName> = new Map([
  [0x143, 'UNKNOWN_COMMAND'],
  [0x902, 'OBJECT_MEMORY'],
  [0x903, 'SESSION_MEMORY'],
  [0x908, 'YIELDED'],
  [0x90a, 'TESTING'],
  [0x921, 'LOCKOUT'],
  [0x922, 'RETRY'],
])

const FIRST_REFERENCE = 0x910
const LAST_REFERENCE = 0x91e
const FORMAT_ONE_BIT = 0x80
const ERROR_BITS = 0x3f
// Above the twelve bits of the TPM, the kernel and TSS put the number of the layer that made the code.
const TPM_BITS = 0xfff

/**
 * Names a response code.
 *
 * @param code A u32 other than 0.
 * @returns Its name without the number of the parameter, handle or session; undefined: none that is acted on.
 */
export function responseCodeName(code: number): ResponseCodeName | undefined {
  const own = code & TPM_BITS
  if (own & FORMAT_ONE_BIT) return FORMAT_ONE.get(own & ERROR_BITS)
  if (own >= FIRST_REFERENCE && own <= LAST_REFERENCE) return 'REFERENCE'
  return WHOLE.get(own)
}

/** Refusal of a command by the TPM, or by the resource manager before it. */
export class TpmResponseError extends Error {
  override readonly name = 'TpmResponseError'
  /** The code as it came, a u32. */
  readonly responseCode: number
  readonly responseName: ResponseCodeName | undefined

  /**
   * @param command The command's name: `Quote`.
   * @param responseCode A u32 other than 0.
   */
  constructor(command: string, responseCode: number) {
    const name = responseCodeName(responseCode)
    const code = `0x${responseCode.toString(16).padStart(3, '0')}`
    super(`tpm command ${command} failed with ${name === undefined ? code : `TPM_RC_${name} (${code})`}`)
    this.responseCode = responseCode
    this.responseName = name
  }
}
