/**
 * The metric that tells in time that the client certificate was not renewed: weeks may lie between two attestations.
 *
 * @module
 */
import type { HostServices } from '@tower-of-omens/spire-sdk'

/** The gauge's name; SPIRE puts `spire_agent_keylime_` in front. The server half has one of the same name. */
export const CERTIFICATE_METRIC = 'certificate_remaining_ratio'

const CALL_TIMEOUT_MS = 2_000

/** The gauge, sent through the host. */
export class CertificateGauge {
  readonly #hosts: Pick<HostServices, 'metrics'>

  /** @param hosts The host's services. */
  constructor(hosts: Pick<HostServices, 'metrics'>) {
    this.#hosts = hosts
  }

  /**
   * Sends the share of its life that the client certificate has left.
   *
   * @param left 0 to 1.
   * @param file Its path.
   * @returns Resolves when it is sent or given up; never rejects.
   */
  async set(left: number, file: string): Promise<void> {
    try {
      const metrics = await this.#hosts.metrics()
      await metrics.setGauge(['keylime', CERTIFICATE_METRIC], left, { file }, { timeoutMs: CALL_TIMEOUT_MS })
    } catch {
      // A host without metrics has the log lines.
    }
  }
}
