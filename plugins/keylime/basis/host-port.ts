/**
 * Host and port: how we parse, bracket and print them.
 *
 * @module
 */
import { isIP, isIPv6 } from 'node:net'
import { excerpt } from './printable.ts'

/** The address of a service; `host` is a name or an IP address without brackets. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/**
 * Formats host and port, with the brackets that an IPv6 address needs.
 *
 * @param address Host without brackets, port 1-65535.
 * @returns `host:port` or `[host]:port`.
 */
export function formatHostPort(address: HostPort): string {
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}

/**
 * Parses `host`, `host:port`, `[ipv6]:port` or a bare IPv6 address.
 *
 * @param text Text of a configuration, without scheme or path.
 * @param defaultPort Port used when the text names none.
 * @returns The parts, or undefined when the text is none of these forms or the port is not 1-65535.
 */
export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  if (isIPv6(text)) return { host: text, port: defaultPort }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const [, bracketed, plain, digits] = match
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined
  const host = bracketed ?? plain ?? ''
  const port = digits === undefined ? defaultPort : Number(digits)
  return isHost(host) && port >= 1 && port <= 65_535 ? { host, port } : undefined
}

/**
 * Tells whether a text can stand where a host stands: an IP address, or a DNS name.
 *
 * @param text Host without brackets and port.
 * @returns True for an IP address, or labels of letters, digits, `-` and `_`.
 */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || (text.length <= 253 && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(text))
}

/**
 * Finds out what is wrong with a host in a configuration.
 *
 * @param value Text of a configuration.
 * @returns What is expected there; undefined for a usable host.
 */
export function hostProblem(value: string): string | undefined {
  if (isHost(value)) return undefined
  const found = JSON.stringify(excerpt(value))
  return `expected a host name or an IP address, without scheme, port or brackets, found ${found}`
}
