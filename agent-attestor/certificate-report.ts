/**
 * Tells in time that the client certificate was not renewed: this half may run for weeks between two attestations.
 *
 * @module
 */
import type { ClientCertificate, TlsSource } from '@tower-of-omens/keylime/tls-files'
import type { HostServices, Logger } from '@tower-of-omens/spire-sdk'

/** Is the gauge's name; SPIRE puts `spire_agent_keylime_` in front. The server half has one of the same name. */
export const CERTIFICATE_METRIC = 'certificate_remaining_ratio'

/** Is how often the certificate is looked at. */
export const REPORT_EVERY_MS = 60_000

// Certificates of a day are renewed at half of it, those of a week after some days: a quarter left is late for both.
const LATE_BELOW = 0.25
const CALL_TIMEOUT_MS = 2_000

/** Holds what a report needs. */
export interface CertificateReportOptions {
  readonly tls: TlsSource
  readonly hosts: Pick<HostServices, 'metrics'>
  readonly log: Logger
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
}

/** Watches the life left in the client certificate: a gauge each minute, and one log line each for late and expired. */
export class CertificateReport {
  readonly #options: CertificateReportOptions
  readonly #timer: NodeJS.Timeout
  #told = ''

  /** @param options The files in force, the host's services, the log. */
  constructor(options: CertificateReportOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.report(), REPORT_EVERY_MS).unref()
  }

  /**
   * Looks at the certificate and reports.
   *
   * @returns Resolves when the gauge is sent or given up; never rejects.
   */
  async report(): Promise<void> {
    const { client } = this.#options.tls.current()
    if (client === undefined) return
    const left = lifeLeft(client, (this.#options.clock ?? Date.now)())
    this.#tell(client, left)
    try {
      const metrics = await this.#options.hosts.metrics()
      const options = { timeoutMs: CALL_TIMEOUT_MS }
      await metrics.setGauge(['keylime', CERTIFICATE_METRIC], left, { file: client.certFile }, options)
    } catch {
      // A host without metrics has the log lines.
    }
  }

  /** Stops looking. */
  close(): void {
    clearInterval(this.#timer)
  }

  #tell(client: ClientCertificate, left: number): void {
    if (left >= LATE_BELOW) return
    const stage = left === 0 ? 'expired' : 'late'
    const state = `${client.fingerprint256} ${stage}`
    if (this.#told === state) return
    this.#told = state
    const { certFile, subject, notAfter } = client
    const facts = { cert_file: certFile, subject, not_after: notAfter.toISOString() }
    if (stage === 'late') this.#options.log.warn('Client certificate expires soon and was not renewed', facts)
    else this.#options.log.error('Client certificate has expired: the Keylime agent will refuse it', facts)
  }
}

function lifeLeft({ notBefore, notAfter }: ClientCertificate, now: number): number {
  const life = Math.max(1, notAfter.getTime() - notBefore.getTime())
  return Math.min(1, Math.max(0, (notAfter.getTime() - now) / life))
}
