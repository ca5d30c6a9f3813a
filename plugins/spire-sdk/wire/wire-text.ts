/**
 * Text from the wire that will name something: a key, a SPIFFE ID, a trust domain.
 *
 * @module
 */
import { RpcError } from './rpc-error.ts'

/** What a protobuf reader puts in place of bytes that are not UTF-8. */
const REPLACEMENT = '\uFFFD'

/**
 * Refuses text that cannot be a name.
 *
 * The generated reader replaces broken UTF-8 instead of refusing it, so two different names could look the same.
 *
 * @param text Field of a request.
 * @param field Name of the field, for the message.
 * @returns The text.
 * @throws {RpcError} `INVALID_ARGUMENT`: it is empty, or its bytes were not UTF-8.
 */
export function requireName(text: string, field: string): string {
  if (text === '') throw new RpcError('INVALID_ARGUMENT', `${field} is required`)
  if (text.includes(REPLACEMENT)) throw new RpcError('INVALID_ARGUMENT', `${field} is not valid UTF-8`)
  return text
}
