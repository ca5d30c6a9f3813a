/**
 * Says in the log that our client certificate, or a CA certificate we trust, nears its end: twice before, once after.
 *
 * @module
 */

import { type Log, nameInOneLine } from '@tower-of-omens/keylime'
import type { TlsSource } from '@tower-of-omens/keylime/tls-files'
import { lifeInWords, lifeLeftShare } from '@tower-of-omens/keylime/tls-files'

/** Is how often certificates are looked at; certificates of a day change stage within hours. */
const LOOK_EVERY_MS = 600_000
/** Shares of life left at which a certificate is spoken of; the last one: it has expired. */
const STAGES = [1 / 3, 1 / 10, 0] as const

/** Watches the certificates in force. */
export class CertificateWatch {
  readonly #tls: TlsSource
  readonly #log: Pick<Log, 'warn' | 'error'>
  readonly #timer: NodeJS.Timeout
  /** Fingerprint to the number of stages spoken of. */
  readonly #said = new Map<string, number>()

  /**
   * @param tls The TLS files in force.
   * @param log Told.
   * @param now Milliseconds since the epoch. Of what is true already nothing is said: Configure has warned of it.
   */
  constructor(tls: TlsSource, log: Pick<Log, 'warn' | 'error'>, now: number = Date.now()) {
    this.#tls = tls
    this.#log = log
    this.look(now, true)
    this.#timer = setInterval(() => this.look(Date.now()), LOOK_EVERY_MS).unref()
  }

  /**
   * Looks once.
   *
   * @param now Milliseconds since the epoch.
   * @param silently Takes note without a line.
   */
  look(now: number, silently = false): void {
    const { client, anchors, caFile } = this.#tls.current()
    if (client !== undefined) {
      const life = client.notAfter.getTime() - client.notBefore.getTime()
      const share = Math.max(0, (client.notAfter.getTime() - now) / Math.max(1, life))
      this.#stage(client.fingerprint256, share, silently, {
        certificate: client.subject,
        file: client.certFile,
        not_after: client.notAfter.toISOString(),
      })
    }
    for (const anchor of anchors) {
      this.#stage(anchor.fingerprint256, lifeLeftShare(anchor, now), silently, {
        certificate: nameInOneLine(anchor.subject),
        file: caFile,
        life: lifeInWords(anchor, now),
      })
    }
  }

  /** Stops. */
  close(): void {
    clearInterval(this.#timer)
  }

  #stage(fingerprint: string, share: number, silently: boolean, facts: Readonly<Record<string, unknown>>): void {
    const stage = STAGES.filter((limit) => share <= limit).length
    if (stage <= (this.#said.get(fingerprint) ?? 0)) return
    this.#said.set(fingerprint, stage)
    if (silently) return
    const left = { ...facts, life_left_percent: Math.round(share * 100) }
    if (stage < STAGES.length) this.#log.warn('Certificate expires soon', left)
    else this.#log.error('Certificate has expired', left)
  }
}
