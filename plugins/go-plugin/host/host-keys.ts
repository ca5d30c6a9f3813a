/**
 * The host's side of AutoMTLS.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js'
import { newOwnCertificate, type OwnCertificate } from '../tls/auto-mtls.ts'

/** The host's certificate for one plugin run. */
export type HostKeys = OwnCertificate

/** Credentials for dialling the plugin and for serving to it. */
export interface HostCredentials {
  readonly channelCredentials: ChannelCredentials
  readonly serverCredentials: ServerCredentials
}

/**
 * Makes the host's certificate.
 *
 * @returns Certificate and key; the certificate goes to the plugin as `PLUGIN_CLIENT_CERT`.
 */
export function makeHostKeys(): HostKeys {
  return newOwnCertificate()
}

/**
 * Makes credentials from what the handshake says.
 *
 * @param keys The host's certificate; `undefined` for plain connections.
 * @param serverCert Field 6 of the handshake.
 * @returns Credentials.
 * @throws {Error} The host asked for AutoMTLS and the plugin shows no certificate, or none that parses.
 */
export function hostCredentials(keys: HostKeys | undefined, serverCert: string): HostCredentials {
  if (keys === undefined) {
    return {
      channelCredentials: ChannelCredentials.createInsecure(),
      serverCredentials: ServerCredentials.createInsecure(),
    }
  }
  const pluginCert = Buffer.from(new X509Certificate(Buffer.from(serverCert, 'base64')).toString())
  const pair = { private_key: keys.key, cert_chain: keys.cert }
  return {
    channelCredentials: ChannelCredentials.createSsl(pluginCert, keys.key, keys.cert),
    serverCredentials: ServerCredentials.createSsl(pluginCert, [pair], true),
  }
}
