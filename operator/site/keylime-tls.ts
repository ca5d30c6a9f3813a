/**
 * Certificates and keys of a Keylime service or client, with `default` and relative names resolved as Keylime does.
 *
 * @see keylime 9b1f6e6a, keylime/web_util.py, `get_tls_options`
 * @module
 */
import { isAbsolute, join } from 'node:path'
import type { KeylimeConf } from './keylime-conf.ts'
import { byDefault, type Sourced } from './sourced.ts'

/** Files of one side of a connection. */
export interface KeylimeTls {
  readonly caFiles: Sourced<readonly string[]>
  readonly certFile: Sourced<string>
  readonly keyFile: Sourced<string>
}

/**
 * Finds the files with which a tenant, or a verifier as a client, speaks to others.
 *
 * @param conf Whose configuration.
 * @returns The files; they need not exist.
 */
export function clientTls(conf: KeylimeConf): KeylimeTls {
  const dir = tlsDir(conf)
  return {
    caFiles: caFiles(conf, 'trusted_server_ca', dir),
    certFile: fileOf(conf, 'client_cert', 'client-cert.crt', dir),
    keyFile: fileOf(conf, 'client_key', 'client-private.pem', dir),
  }
}

/**
 * Finds the files with which a verifier or registrar serves.
 *
 * @param conf Whose configuration.
 * @returns The files; they need not exist.
 */
export function serverTls(conf: KeylimeConf): KeylimeTls {
  const dir = tlsDir(conf)
  return {
    caFiles: caFiles(conf, 'trusted_client_ca', dir),
    certFile: fileOf(conf, 'server_cert', 'server-cert.crt', dir),
    keyFile: fileOf(conf, 'server_key', 'server-private.pem', dir),
  }
}

function tlsDir(conf: KeylimeConf): Sourced<string> {
  const found = conf.text('tls_dir')
  if (found === undefined) return byDefault(join(conf.home, 'cv_ca'), `keylime ${conf.component}`)
  if (found.value !== 'default' && found.value !== 'generate') return found
  const name = conf.component === 'registrar' && found.value === 'generate' ? 'reg_ca' : 'cv_ca'
  return { value: join(conf.home, name), from: found.from }
}

function fileOf(conf: KeylimeConf, key: string, fallback: string, dir: Sourced<string>): Sourced<string> {
  const found = conf.text(key)
  if (found === undefined || found.value === 'default' || found.value === '') {
    return { value: join(dir.value, fallback), from: dir.from }
  }
  return { value: within(dir.value, found.value), from: found.from }
}

function caFiles(conf: KeylimeConf, key: string, dir: Sourced<string>): Sourced<readonly string[]> {
  const found = conf.list(key)
  if (found === undefined) return { value: [join(dir.value, 'cacert.crt')], from: conf.text(key)?.from ?? dir.from }
  return { value: found.value.map((file) => within(dir.value, file)), from: found.from }
}

function within(dir: string, file: string): string {
  return isAbsolute(file) ? file : join(dir, file)
}
