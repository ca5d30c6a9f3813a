/**
 * Text of strangers made fit for a log line or a message: one line, bounded, and read as it stands.
 *
 * @module
 */

/** The longest message a caller gets: one line of a log, and far under gRPC's header limit. */
const MAX_MESSAGE_CHARACTERS = 1_000
const MAX_EXCERPT_CHARACTERS = 160
const MAX_NAME_CHARACTERS = 200

/**
 * Cuts a text that is too long.
 *
 * @param text Any text.
 * @param characters How many are kept.
 * @returns The text, or its beginning and three dots.
 */
export function cut(text: string, characters: number): string {
  return text.length > characters ? `${text.slice(0, characters)}...` : text
}

/**
 * Makes a text fit to be a status message: one line, bounded, and read as it stands.
 *
 * @param text Any text.
 * @returns The text with control and invisible characters (such as those that turn the direction of writing) replaced
 *   by spaces, at most 1,000 characters.
 */
export function oneLine(text: string): string {
  const line = text.replace(/[\p{C}\u2028\u2029]+/gu, ' ')
  return line.length > MAX_MESSAGE_CHARACTERS ? cut(line, MAX_MESSAGE_CHARACTERS - 3) : line
}

/**
 * Takes a short piece of what a service said, for a message of ours.
 *
 * @param text Any text.
 * @returns One line without runs of spaces, at most 160 characters and three dots.
 */
export function excerpt(text: string): string {
  return cut(text.replace(/[\p{C}\s]+/gu, ' ').trim(), MAX_EXCERPT_CHARACTERS)
}

/**
 * Writes a distinguished name in one line, most particular part first.
 *
 * @param name A name as Node prints it: one attribute a line, or undefined when the certificate has none.
 * @returns Such as `CN=Book of Omens, O=Funlab.Casa`; at most 200 characters, control characters replaced.
 */
export function nameInOneLine(name: string | undefined): string {
  const parts = (name ?? '').split('\n').filter((part) => part !== '')
  const line = parts.toReversed().join(', ').replace(/\p{C}/gu, '?')
  return line === '' ? '(no name)' : cut(line, MAX_NAME_CHARACTERS)
}
