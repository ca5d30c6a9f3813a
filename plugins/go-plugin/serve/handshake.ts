/**
 * The first words between host and plugin: the magic cookie, the version, the one line on stdout.
 *
 * @see hashicorp/go-plugin dd3617a, server.go (protocolVersion, Serve) and client.go (Start)
 * @module
 */

/** The pair that tells a plugin it was started by its host; SPIRE uses the plugin's type for both. */
export interface MagicCookie {
  readonly key: string
  readonly value: string
}

/** What the one line on stdout says. */
export interface Handshake {
  readonly appVersion: number
  readonly network: 'unix' | 'tcp'
  /** Socket path, or host and port. */
  readonly address: string
  /** DER of the plugin's certificate in unpadded base64; empty without TLS. */
  readonly serverCert: string
  /** Whether the plugin multiplexes; `undefined` where the host did not ask, and then the field is left out. */
  readonly multiplex: boolean | undefined
}

const CORE_VERSION = 1

/**
 * Checks the magic cookie.
 *
 * @param env Environment of the process.
 * @param cookie Expected pair.
 * @returns Whether a host started this process.
 */
export function hasCookie(env: NodeJS.ProcessEnv, cookie: MagicCookie): boolean {
  return env[cookie.key] === cookie.value
}

/**
 * Explains to a person why the program does not run from a shell.
 *
 * @param name Name of the program.
 * @param hint What to do instead, one sentence.
 * @returns Text of two lines, ending in a line feed.
 */
export function notForHumans(name: string, hint = 'Name it in the configuration of its host.'): string {
  return `${name} is a plugin: its host starts it. It cannot be run directly.\n${hint}\n`
}

/** Outcome of the version pick: the version, and the entries of the host's list that were no numbers. */
export interface VersionChoice {
  readonly version: number
  readonly garbage: readonly string[]
}

/**
 * Picks the highest version both sides know; without one, the plugin's lowest, so that the host can complain.
 *
 * @param list The host's `PLUGIN_PROTOCOL_VERSIONS`, comma separated, or `undefined`.
 * @param own Versions the plugin serves; at least one.
 * @returns Version for the handshake line.
 */
export function chooseVersion(list: string | undefined, own: readonly number[]): VersionChoice {
  const entries = (list ?? '').split(',').filter((entry) => entry !== '')
  const garbage = entries.filter((entry) => !/^[+-]?\d+$/.test(entry))
  const offered = new Set(entries.filter((entry) => !garbage.includes(entry)).map(Number))
  const common = own.filter((version) => offered.has(version))
  return { version: common.length > 0 ? Math.max(...common) : Math.min(...own), garbage }
}

/**
 * Formats the handshake line. It has six fields unless the host asked for multiplexing: old hosts glue a seventh
 * onto the certificate.
 *
 * @param handshake What to say.
 * @returns The line with its line feed.
 */
export function formatHandshake(handshake: Handshake): string {
  const { appVersion, network, address, serverCert, multiplex } = handshake
  const fields = [CORE_VERSION, appVersion, network, address, 'grpc', serverCert]
  if (multiplex !== undefined) fields.push(String(multiplex))
  return `${fields.join('|')}\n`
}

/**
 * Parses a handshake line as a host does.
 *
 * @param line First line of the plugin's stdout.
 * @returns What the plugin said.
 * @throws {Error} The line is no handshake, or of another core version, network or protocol.
 */
export function parseHandshake(line: string): Handshake {
  const fields = line.trim().split('|')
  const [core, app, network, address, protocol, serverCert, multiplex] = fields
  if (app === undefined || network === undefined || address === undefined) {
    throw new Error(`unrecognized remote plugin message: ${JSON.stringify(line.slice(0, 200))}`)
  }
  if (core !== String(CORE_VERSION)) throw new Error(`incompatible core API version: ${String(core)}, expected 1`)
  if (!/^\d+$/.test(app)) throw new Error(`protocol version is not a number: ${JSON.stringify(app)}`)
  if (network !== 'unix' && network !== 'tcp') throw new Error(`unknown address type: ${network}`)
  if (protocol !== 'grpc') throw new Error(`unsupported plugin protocol: ${protocol ?? 'netrpc'}, expected grpc`)
  return {
    appVersion: Number(app),
    network,
    address,
    serverCert: serverCert ?? '',
    multiplex: multiplex === undefined ? undefined : isTrue(multiplex),
  }
}

/**
 * Reads a boolean in Go's spelling.
 *
 * @param text Such as `true` or `1`.
 * @returns Whether it is one of the texts that mean true.
 */
export function isTrue(text: string): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)
}
