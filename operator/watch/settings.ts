/**
 * The daemon's settings, checked: what may listen where, and with which files.
 *
 * @module
 */
import { isIPv4, isIPv6 } from 'node:net'
import { type HostPort, parseHostPort } from '@tower-of-omens/keylime'
import { OperatorError } from '../operator-error.ts'
import type { TowerkeepConf } from '../site/towerkeep-conf.ts'
import { WATCH_DEFAULTS, type WatchValues } from '../site/watch-conf.ts'
import type { BellOptions } from './bell.ts'
import type { WatchMode } from './decide.ts'

/** Where page and metrics are served. */
export interface HttpSettings {
  readonly address: HostPort
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string } | undefined
}

/** Everything the daemon is told. */
export interface WatchSettings {
  readonly mode: WatchMode
  readonly values: WatchValues
  /** Undefined: no certificate is configured, and polling alone finds failures. */
  readonly bell: BellOptions | undefined
  readonly http: HttpSettings
}

/**
 * Checks the daemon's settings.
 *
 * @param conf The configuration.
 * @param mode `--mode`.
 * @returns The settings.
 * @throws {OperatorError} `TK-WATCH-LISTEN`: open beyond this machine without TLS. `TK-CONF-INVALID`: a file of a pair is
 *   missing, or nobody may ring.
 */
export function watchSettings(conf: TowerkeepConf, mode?: WatchMode): WatchSettings {
  const values = conf.values.watch ?? WATCH_DEFAULTS
  return {
    mode: mode ?? values.mode,
    values,
    bell: bellOf(conf, values),
    http: httpOf(values),
  }
}

function bellOf({ values: all }: TowerkeepConf, values: WatchSettings['values']): BellOptions | undefined {
  const { bell_cert_file: certFile, bell_key_file: keyFile, verifier_names: names } = values
  if (certFile === undefined && keyFile === undefined) return undefined
  const clientCaFile = values.bell_client_ca_file ?? all.keylime_ca_file
  if (certFile === undefined || keyFile === undefined || clientCaFile === undefined) {
    throw invalid('watch: the bell needs bell_cert_file, bell_key_file and bell_client_ca_file (or keylime_ca_file)')
  }
  if (names.length === 0) {
    throw invalid("watch: verifier_names is empty: nobody could ring; name the verifiers' client certificates")
  }
  return { address: addressOf(values.bell_address), certFile, keyFile, clientCaFile, names }
}

function httpOf(values: WatchSettings['values']): HttpSettings {
  const address = addressOf(values.http_address)
  const { http_cert_file: certFile, http_key_file: keyFile, http_client_ca_file: clientCaFile } = values
  if (certFile !== undefined && keyFile !== undefined && clientCaFile !== undefined) {
    return { address, tls: { certFile, keyFile, clientCaFile } }
  }
  if (certFile !== undefined || keyFile !== undefined || clientCaFile !== undefined) {
    throw invalid('watch: TLS needs http_cert_file, http_key_file and http_client_ca_file, or none of them')
  }
  if (isLoopback(address.host)) return { address, tls: undefined }
  throw new OperatorError(
    'TK-WATCH-LISTEN',
    `watch: http_address ${values.http_address} is open beyond this machine: listen on 127.0.0.1, or set http_cert_file, http_key_file and http_client_ca_file`,
  )
}

// A name may resolve to anything, so only `localhost` counts among names.
function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || (isIPv6(host) && /^(0*:)*0*1$/.test(host))
}

function addressOf(text: string): HostPort {
  const address = parseHostPort(text, 0)
  if (address === undefined) throw invalid(`watch: ${text} is no "host:port"`)
  return address
}

function invalid(message: string): OperatorError {
  return new OperatorError('TK-CONF-INVALID', message)
}
