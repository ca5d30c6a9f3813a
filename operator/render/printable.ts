/**
 * Text of strangers made fit for a terminal. Names in certificates, events of Keylime and SPIFFE IDs are written by whoever
 * registers: on a terminal their control characters would act, and those that turn the direction of writing would mislead.
 *
 * @module
 */

/** What our own style writes: bold, faint, five colours, and their ends. */
const OWN_STYLE = '\\u001b\\[(?:1|2|22|31|32|33|35|36|39)m'

const NOT_PRINTABLE = new RegExp(`${OWN_STYLE}|[\\p{Cc}\\p{Cf}\\p{Cs}\\u2028\\u2029]`, 'gu')

const NOT_PRINTABLE_IN_JSON = /[\p{Cf}\u007f-\u009f\u2028\u2029]/gu

/**
 * Shows what does not print as what it is.
 *
 * @param text Lines of ours with words of strangers in them.
 * @returns The same, with `\u{1b}` for an escape character; line ends and our own colours stay.
 */
export function printable(text: string): string {
  return text.replace(NOT_PRINTABLE, (found) =>
    found === '\n' || found.startsWith('\u001b[') ? found : visible(found),
  )
}

/**
 * Escapes what JSON leaves as it is, and a terminal does not.
 *
 * @param json A JSON document.
 * @returns The same document in other characters.
 */
export function printableJson(json: string): string {
  return json.replace(NOT_PRINTABLE_IN_JSON, (found) =>
    Array.from({ length: found.length }, (_, at) => `\\u${hex(found.charCodeAt(at)).padStart(4, '0')}`).join(''),
  )
}

function visible(character: string): string {
  return `\\u{${hex(character.codePointAt(0) ?? 0)}}`
}

function hex(code: number): string {
  return code.toString(16)
}
