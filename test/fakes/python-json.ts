// JSON text as Python's `json.dumps` writes it, which is what the real verifier and registrar send.

/**
 * Writes a value as `json.dumps(value)` does: a space after each comma and colon, ASCII only.
 * @param value Anything JSON can hold; object keys keep their order, undefined ones are left out.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return asciiOnly(JSON.stringify(value))
  const fields: string[] = []
  for (const [key, inner] of Object.entries(value)) {
    if (inner !== undefined) fields.push(`${asciiOnly(JSON.stringify(key))}: ${pythonJson(inner)}`)
  }
  return `{${fields.join(', ')}}`
}

/**
 * Writes a value as `json.dumps(value, indent=4)` does.
 * @param value Anything JSON can hold.
 * @returns Several lines without a trailing newline.
 */
export function indentedPythonJson(value: unknown): string {
  return asciiOnly(JSON.stringify(value, null, 4))
}

function asciiOnly(text: string): string {
  return text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
