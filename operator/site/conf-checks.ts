/**
 * The checks of single values of our own configuration.
 *
 * @module
 */
import { parseHostPort } from '@tower-of-omens/keylime'

/**
 * Checks a path.
 *
 * @param value The value.
 * @returns What is wrong with it, or undefined.
 */
export function absolutePath(value: string): string | undefined {
  return value.startsWith('/') ? undefined : 'expected an absolute path'
}

/**
 * Checks an address.
 *
 * @param value The value.
 * @returns What is wrong with it, or undefined.
 */
export function hostPortText(value: string): string | undefined {
  const address = parseHostPort(value, -1)
  return address !== undefined && address.port >= 0 ? undefined : 'expected "host:port"'
}
