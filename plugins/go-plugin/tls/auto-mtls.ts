/**
 * AutoMTLS: each side makes a certificate for this one run and trusts exactly the other's.
 *
 * Loaded only when the host hands its certificate over. SPIRE never does; Vault, Terraform and Nomad do.
 *
 * @see hashicorp/go-plugin dd3617a, mtls.go
 * @module
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import {
  bitString,
  booleanTrue,
  certificateTime,
  context,
  contextPrimitive,
  objectIdentifier,
  octetString,
  sequence,
  setOf,
  unsignedInteger,
  utf8String,
} from './der.ts'

/** Keys of one plugin run. */
export interface PluginTls {
  /** PEM: the only root we trust. */
  readonly hostCert: Buffer
  /** PEM. */
  readonly key: Buffer
  /** PEM. */
  readonly cert: Buffer
  /** Field 6 of the handshake: DER in base64 without padding. */
  readonly encodedCert: string
}

/** A certificate and its key, both PEM, and the certificate's DER. */
export interface OwnCertificate {
  readonly key: Buffer
  readonly cert: Buffer
  readonly der: Buffer
}

const ECDSA_WITH_SHA512 = '1.2.840.10045.4.3.4'
/** P-256, P-384 and P-521 as OpenSSL names them. */
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])
const BACKDATE_MS = 30_000
/** 262,980 hours: thirty years, as hashicorp's. */
const LIFETIME_MS = 262_980 * 3_600_000

/**
 * Makes the plugin's side of AutoMTLS.
 *
 * @param hostCert Value of `PLUGIN_CLIENT_CERT`: the host's certificate, PEM.
 * @returns Keys for servers and for brokered connections.
 * @throws {Error} The value is no certificate (Go goes on, and then refuses every connection), or its key is on a
 *   curve that no host uses.
 */
export function newPluginTls(hostCert: string): PluginTls {
  const own = newOwnCertificate()
  return {
    hostCert: Buffer.from(requireKnownCurve(hostCertificate(hostCert)).toString()),
    ...own,
    encodedCert: own.der.toString('base64').replace(/=+$/, ''),
  }
}

function hostCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new Error('PLUGIN_CLIENT_CERT does not hold a PEM certificate', { cause: error })
  }
}

// What is made of each peer's certificate once connected knows these curves alone.
function requireKnownCurve(certificate: X509Certificate): X509Certificate {
  const { namedCurve } = certificate.publicKey.asymmetricKeyDetails ?? {}
  if (namedCurve === undefined || CURVES.has(namedCurve)) return certificate
  throw new Error(`PLUGIN_CLIENT_CERT has a key on ${namedCurve}, expected P-256, P-384 or P-521`)
}

/**
 * Makes a self-signed P-521 certificate for `localhost`, fit for both ends of a connection.
 *
 * @param now Time of making; the certificate is valid from 30 seconds before it.
 * @returns Certificate and key.
 */
export function newOwnCertificate(now: Date = new Date()): OwnCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp521r1' })
  const algorithm = sequence(objectIdentifier(ECDSA_WITH_SHA512))
  const name = localhostName()
  const body = sequence(
    context(0, unsignedInteger(Buffer.from([2]))),
    // The first bit set and the second clear: positive, never zero, never longer than it looks.
    unsignedInteger(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
    algorithm,
    name,
    sequence(
      certificateTime(new Date(now.getTime() - BACKDATE_MS)),
      certificateTime(new Date(now.getTime() + LIFETIME_MS)),
    ),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensions())),
  )
  const der = sequence(body, algorithm, bitString(sign('sha512', body, privateKey)))
  return {
    key: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    cert: Buffer.from(new X509Certificate(der).toString()),
    der,
  }
}

// `O=HashiCorp, CN=localhost`, as every go-plugin host and plugin shows.
function localhostName(): Buffer {
  return sequence(nameAttribute('2.5.4.10', 'HashiCorp'), nameAttribute('2.5.4.3', 'localhost'))
}

function nameAttribute(type: string, value: string): Buffer {
  return setOf(sequence(objectIdentifier(type), utf8String(value)))
}

function extensions(): readonly Buffer[] {
  const clientAuth = objectIdentifier('1.3.6.1.5.5.7.3.2')
  const serverAuth = objectIdentifier('1.3.6.1.5.5.7.3.1')
  return [
    // digitalSignature, keyEncipherment, keyAgreement, keyCertSign
    critical('2.5.29.15', bitString(Buffer.from([0b10101100]), 2)),
    extension('2.5.29.37', sequence(clientAuth, serverAuth)),
    critical('2.5.29.19', sequence(booleanTrue())),
    extension('2.5.29.17', sequence(contextPrimitive(2, Buffer.from('localhost')))),
  ]
}

function critical(id: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(id), booleanTrue(), octetString(value))
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectIdentifier(id), octetString(value))
}
