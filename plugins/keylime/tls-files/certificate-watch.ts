/**
 * The log lines by which our client certificate, or a CA certificate we trust, nears its end: two before, one after.
 *
 * @module
 */
import type { Log } from '../basis/log.ts'
import { nameInOneLine } from '../basis/printable.ts'
import { lifeInWords, lifeLeft, lifeOf, STAGES, stagesPassed } from './certificate-life.ts'
import type { TlsSource } from './tls-watch.ts'

/** How often certificates are looked at, in milliseconds; those of a day change stage within hours. */
export const LOOK_EVERY_MS = 60_000

/** What a watch tells, and to whom. */
export interface CertificateWatchOptions {
  readonly log: Pick<Log, 'warn' | 'error'>
  /** Told at each look, but not at the beginning, which share of its life the client certificate has left. Never throws. */
  readonly gauge?: (left: number, certFile: string) => void
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
}

/** A watch of the certificates in force. What is true at its beginning is not said: Configure has warned of it. */
export class CertificateWatch {
  readonly #tls: TlsSource
  readonly #options: CertificateWatchOptions
  readonly #timer: NodeJS.Timeout
  /** Fingerprint to the number of stages spoken of. */
  readonly #said = new Map<string, number>()

  /**
   * @param tls The TLS files in force.
   * @param options Log, gauge, clock.
   */
  constructor(tls: TlsSource, options: CertificateWatchOptions) {
    this.#tls = tls
    this.#options = options
    this.#look(true)
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref()
  }

  /** Looks once, and says what is news. */
  look(): void {
    this.#look(false)
  }

  /** Stops looking. */
  close(): void {
    clearInterval(this.#timer)
  }

  #look(silently: boolean): void {
    const now = (this.#options.clock ?? Date.now)()
    const { client, anchors, caFile } = this.#tls.current()
    if (client !== undefined) {
      const left = lifeLeft(client, now)
      if (!silently) this.#options.gauge?.(left, client.certFile)
      this.#stage(client.fingerprint256, left, silently, {
        certificate: client.subject,
        file: client.certFile,
        not_after: client.notAfter.toISOString(),
      })
    }
    for (const anchor of anchors) {
      this.#stage(anchor.fingerprint256, lifeLeft(lifeOf(anchor), now), silently, {
        certificate: nameInOneLine(anchor.subject),
        file: caFile,
        life: lifeInWords(anchor, now),
      })
    }
  }

  #stage(fingerprint: string, left: number, silently: boolean, facts: Readonly<Record<string, unknown>>): void {
    const stage = stagesPassed(left)
    if (stage <= (this.#said.get(fingerprint) ?? 0)) return
    this.#said.set(fingerprint, stage)
    if (silently) return
    const { log } = this.#options
    const fields = { ...facts, life_left_percent: Math.round(left * 100) }
    if (stage < STAGES.length) log.warn('Certificate expires soon', fields)
    else log.error('Certificate has expired', fields)
  }
}
