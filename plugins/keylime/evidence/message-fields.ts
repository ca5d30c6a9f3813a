/**
 * The form of the messages between our halves: one JSON object whose fields are base64, as Go's `[]byte` is.
 *
 * @module
 */
import { isAscii } from 'node:buffer'
import { KeylimeError } from '../basis/errors.ts'

/** Bound on every message, in bytes; a response with a quote of all PCRs takes under 6 KiB. */
export const MAX_MESSAGE_BYTES = 65_536

/** Fields of a message; a map, so that no name of the sender reaches a prototype. */
export type MessageFields = ReadonlyMap<string, unknown>

/**
 * Encodes a message.
 *
 * @param message Its name, for the error.
 * @param fields Bytes, or ASCII text; absent ones are left out.
 * @returns JSON bytes.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: too large to send.
 */
export function encodeMessage(
  message: string,
  fields: Readonly<Record<string, string | Uint8Array | undefined>>,
): Buffer {
  const encoded = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Buffer.from(value).toString('base64')] as const],
  )
  const bytes = Buffer.from(JSON.stringify(Object.fromEntries(encoded)))
  if (bytes.length <= MAX_MESSAGE_BYTES) return bytes
  throw new KeylimeError(
    'KEYLIME_BAD_RESPONSE',
    `${message} is too large to send: expected at most ${MAX_MESSAGE_BYTES} bytes, found ${bytes.length}`,
  )
}

/**
 * Decodes a message.
 *
 * @param message Its name, for the error.
 * @param bytes Untrusted bytes.
 * @returns Its fields, not yet read.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: too large, not UTF-8, or not a JSON object.
 */
export function decodeMessage(message: string, bytes: Uint8Array): MessageFields {
  if (bytes.length > MAX_MESSAGE_BYTES) {
    throw badMessage(`${message} is too large: expected at most ${MAX_MESSAGE_BYTES} bytes, found ${bytes.length}`)
  }
  const value = parseJson(message, bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badMessage(`${message} is not a JSON object`)
  }
  return new Map<string, unknown>(Object.entries(value))
}

/**
 * Reads a field of bytes.
 *
 * @param message The message's name, for the error.
 * @param fields Its fields.
 * @param name The field's name.
 * @returns At least one byte.
 * @throws {KeylimeError} `KEYLIME_BAD_MESSAGE`: missing, empty, or not padded base64.
 */
export function readBytes(message: string, fields: MessageFields, name: string): Buffer {
  const value = fields.get(name)
  if (value === undefined || value === null) throw badMessage(`${message} lacks field ${name}`)
  if (typeof value !== 'string') throw badMessage(`${message} field ${name} is not a base64 string`)
  const bytes = Buffer.from(value, 'base64')
  // Node skips what it cannot read; only canonical base64 survives the way back.
  if (bytes.toString('base64') !== value) throw badMessage(`${message} field ${name} is not padded standard base64`)
  if (bytes.length === 0) throw badMessage(`${message} field ${name} is empty`)
  return bytes
}

/** Reads a field of ASCII text. @param message Name. @param fields All. @param name Which. @returns It. @throws {KeylimeError} As {@link readBytes}. */
export function readText(message: string, fields: MessageFields, name: string): string {
  const bytes = readBytes(message, fields, name)
  if (!isAscii(bytes)) throw badMessage(`${message} field ${name} holds other than ASCII text`)
  return bytes.toString('latin1')
}

/** Tells whether a field is left out: absent, null or empty. @param fields All. @param name Which. @returns It. */
export function isLeftOut(fields: MessageFields, name: string): boolean {
  const value = fields.get(name)
  return value === undefined || value === null || value === ''
}

/** Makes the error of a message that does not parse. @param text Field, expected and found. @returns It. */
export function badMessage(text: string): KeylimeError {
  return new KeylimeError('KEYLIME_BAD_MESSAGE', text)
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseJson(message: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch {
    // The parser's own message quotes the input, so it is not kept.
    throw badMessage(`${message} is not valid JSON`)
  }
}
