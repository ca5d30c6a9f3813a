/**
 * Texts that leave the machine: what is secret in configuration is replaced, and what looks like a secret stops them.
 *
 * @module
 */

const SECRET_KEYS =
  /^(\s*"?[\w.-]*(?:password|passwd|secret|token|private|apikey|api_key|ownerpassword)[\w.-]*"?\s*[:=]\s*).*$/gim
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----/, 'a private key'],
  [/\b(?:hvs|hvb|hvr|s|b)\.[A-Za-z0-9_-]{24,}/, 'a vault token'],
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/, 'a JWT'],
  [/\bAKIA[0-9A-Z]{16}\b/, 'an access key'],
]

/**
 * Takes secrets out of a configuration text.
 *
 * @param text The text.
 * @returns The same with every value of a key that names a secret replaced.
 */
export function redacted(text: string): string {
  return text.replace(SECRET_KEYS, '$1"(redacted)"')
}

/**
 * Looks for what has the shape of a secret.
 *
 * @param text The text.
 * @returns What was found; empty when nothing was.
 */
export function secretsIn(text: string): readonly string[] {
  return SHAPES.filter(([pattern]) => pattern.test(text)).map(([, name]) => name)
}
