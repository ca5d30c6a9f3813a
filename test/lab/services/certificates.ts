/**
 * Self-signed certificates, made by openssl: the stand-in agent's server certificate and the client certificate of the
 * SPIRE agent's plugin. Both are trusted by being listed themselves.
 *
 * @module
 */
import { chmod } from 'node:fs/promises'
import { runCommand } from '../processes/commands.ts'

/** What to put into the certificate. */
export interface SelfSignedOptions {
  readonly certFile: string
  /** Written as PKCS#8 with mode 0600. */
  readonly keyFile: string
  readonly commonName: string
  readonly usage: 'serverAuth' | 'clientAuth'
  /** Subject alternative names as openssl spells them; default "DNS:localhost". */
  readonly altNames?: string
}

/**
 * Makes a P-256 key and a certificate over it that is its own issuer, valid for a year.
 *
 * @throws {RigError} openssl fails.
 */
export async function writeSelfSigned(options: SelfSignedOptions): Promise<void> {
  await runCommand('openssl', [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -sha256'.split(' '),
    ...'-addext basicConstraints=critical,CA:FALSE -addext'.split(' '),
    `extendedKeyUsage=${options.usage}`,
    '-addext',
    `subjectAltName=${options.altNames ?? 'DNS:localhost'}`,
    '-subj',
    `/CN=${options.commonName}`,
    '-keyout',
    options.keyFile,
    '-out',
    options.certFile,
  ])
  await chmod(options.keyFile, 0o600)
}
