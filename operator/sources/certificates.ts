/**
 * Certificates as they are presented: a handshake with whoever listens, without sending anything.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { describeNoPeer } from '@tower-of-omens/keylime/https'

/** A certificate that was presented, or a registered one. */
export interface SeenCertificate {
  readonly certificate: X509Certificate
  /** DNS names in it. */
  readonly names: readonly string[]
  /** Share of its life that is left, 0 to 1; negative once it has ended. */
  readonly leftShare: number
  /** Seconds until it ends. */
  readonly leftSeconds: number
}

/**
 * Reads a certificate from PEM.
 *
 * @param pem One certificate.
 * @param now Milliseconds since the epoch.
 * @returns The certificate, or undefined when it is none.
 */
export function certificateFromPem(pem: string, now: number): SeenCertificate | undefined {
  try {
    return seen(new X509Certificate(pem), now)
  } catch {
    return undefined
  }
}

/**
 * Looks at the certificate that a service presents; whether it is trusted is not asked here.
 *
 * @param address Where it listens.
 * @param options `timeoutMs`: limit; `signal`: the caller's; `now`: milliseconds since the epoch.
 * @returns The certificate.
 * @throws {Error} Nobody listens, no TLS is spoken, or it took too long.
 */
export function presentedCertificate(
  address: { readonly host: string; readonly port: number },
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly now: number },
): Promise<SeenCertificate> {
  const { promise, resolve, reject } = Promise.withResolvers<SeenCertificate>()
  const fail = (error: Error): void => reject(error)
  const socket = connect({ ...address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () => {
    try {
      const certificate = socket.getPeerX509Certificate()
      if (certificate === undefined) reject(new Error('no certificate was presented'))
      else resolve(seen(certificate, options.now))
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  })
  describeNoPeer(socket)
  const abort = (): void => fail(new Error('interrupted'))
  socket.on('error', fail)
  socket.setTimeout(options.timeoutMs, () => fail(new Error(`no handshake within ${options.timeoutMs} ms`)))
  options.signal?.addEventListener('abort', abort, { once: true })
  return promise.finally(() => {
    options.signal?.removeEventListener('abort', abort)
    socket.destroy()
  })
}

function seen(certificate: X509Certificate, now: number): SeenCertificate {
  const from = certificate.validFromDate.getTime()
  const to = certificate.validToDate.getTime()
  const names = [...(certificate.subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name)
  return {
    certificate,
    names,
    leftShare: to > from ? Math.min(1, (to - now) / (to - from)) : 0,
    leftSeconds: (to - now) / 1000,
  }
}
