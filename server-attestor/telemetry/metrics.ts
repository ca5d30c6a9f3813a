/**
 * Metrics through SPIRE's Metrics host service: summed up here, sent every few seconds, never in the way of a node.
 *
 * @module
 */

import { type ErrorCode, keylimeCode, type PolicyStrength } from '@tower-of-omens/gate'
import type { Log } from '@tower-of-omens/keylime'
import type { RequestSeen } from '@tower-of-omens/keylime/https'
import type { HostServices } from '@tower-of-omens/spire-sdk'

/** One metric, for the documentation. */
export interface MetricKind {
  readonly kind: 'counter' | 'sample' | 'gauge'
  readonly labels: readonly string[]
  readonly meaning: string
}

/** Every metric; SPIRE puts `spire_server_keylime_` in front. `docs/metrics.md` is printed from it. */
export const METRICS = {
  attest_total: {
    kind: 'counter',
    labels: ['result', 'code'],
    meaning:
      'Attestations by result (`admitted`, `refused`, `not_yet`, `failed`) and code (`OK` or one of `docs/errors.md`).',
  },
  attest_seconds: {
    kind: 'sample',
    labels: ['result'],
    meaning: 'Duration of an attestation, the node and its TPM included.',
  },
  attest_in_flight: { kind: 'gauge', labels: [], meaning: 'Attestations under way.' },
  last_success_age_seconds: {
    kind: 'sample',
    labels: [],
    meaning: "Age of an admitted node's last successful attestation, by the verifier's clock.",
  },
  policy_total: {
    kind: 'counter',
    labels: ['checks'],
    meaning:
      'Admitted attestations by what the enrolled policy checks: `none`, or `pcr`, `measured-boot` (`measured-boot-enrolled` where nobody vouches for it), `runtime` joined by `+`.',
  },
  shadow_refusals_total: {
    kind: 'counter',
    labels: ['code'],
    meaning: 'Clauses that would have refused a node if `enforce` were true.',
  },
  api_seconds: {
    kind: 'sample',
    labels: ['service', 'operation'],
    meaning: 'Duration of a request to a Keylime service, its wait for a connection included.',
  },
  api_errors_total: {
    kind: 'counter',
    labels: ['service', 'operation', 'code'],
    meaning:
      'Requests to Keylime without an answer, and answers with HTTP status 400 or more (`code` is then `HTTP-<status>`).',
  },
  certificate_remaining_ratio: {
    kind: 'gauge',
    labels: ['file'],
    meaning: 'Share of its life that our client certificate has left: 1 when new, 0 when expired.',
  },
} as const satisfies Readonly<Record<string, MetricKind>>

/** The name of a metric. */
export type MetricName = keyof typeof METRICS

/** The end of an attestation. */
export type AttestResult = 'admitted' | 'refused' | 'not_yet' | 'failed'

/** Time between two sendings. */
export const FLUSH_MS = 5_000
/** Samples of one series sent at a time; more are thinned out evenly, so that a storm costs no more than a calm. */
const MAX_SAMPLES = 50
/** Bound on one call to the host. */
const CALL_TIMEOUT_MS = 2_000

type Labels = Readonly<Record<string, string>>

interface Series {
  readonly name: MetricName
  readonly labels: Labels
  /** Sum of a counter, value of a gauge. */
  value: number
  samples: number[]
  /** Samples seen since the last flush, kept or not. */
  seen: number
}

/** Metrics, gathered and sent. Nothing here ever throws or waits. */
export class AttestationMetrics {
  readonly #hosts: Pick<HostServices, 'metrics'>
  readonly #log: Pick<Log, 'debug'>
  readonly #series = new Map<string, Series>()
  #certificate: { readonly left: number; readonly file: string } | undefined
  #timer: NodeJS.Timeout | undefined
  #inFlight = 0
  #complained = false
  #flushing: Promise<void> | undefined

  /**
   * @param hosts The host's services; first used with the first attestation, since SPIRE is not ready before.
   * @param log Told once that metrics are not delivered.
   */
  constructor(hosts: Pick<HostServices, 'metrics'>, log: Pick<Log, 'debug'>) {
    this.#hosts = hosts
    this.#log = log
  }

  /**
   * Takes note of the life left in our certificate.
   *
   * @param left Share of it, 0 to 1.
   * @param file Its path.
   */
  certificateLeft(left: number, file: string): void {
    this.#certificate = { left, file }
  }

  /** Counts an attestation that begins. */
  began(): void {
    this.#inFlight += 1
    this.#timer ??= setInterval(() => void this.flush(), FLUSH_MS).unref()
  }

  /**
   * Counts an attestation that ended.
   *
   * @param result How.
   * @param code `OK`, or the catalogue's code.
   * @param durationMs How long it took.
   */
  ended(result: AttestResult, code: ErrorCode | 'OK', durationMs: number): void {
    this.#inFlight -= 1
    this.#add('attest_total', { result, code })
    this.#sample('attest_seconds', { result }, durationMs / 1_000)
  }

  /**
   * Counts what is known of an admitted node.
   *
   * @param ageS Age of its last success, seconds.
   * @param strength What its policy checks.
   */
  admitted(ageS: number, strength: PolicyStrength): void {
    this.#sample('last_success_age_seconds', {}, ageS)
    this.#add('policy_total', { checks: checksOf(strength) })
  }

  /** Counts a clause that shadow mode let pass. @param code Its code. */
  shadowed(code: ErrorCode): void {
    this.#add('shadow_refusals_total', { code })
  }

  /** Counts a request to Keylime. @param seen What became of it. */
  requested(seen: RequestSeen): void {
    const labels = { service: seen.role.replace(/^keylime /, ''), operation: seen.operation }
    if (seen.error?.code === 'KEYLIME_CANCELLED') return
    this.#sample('api_seconds', labels, seen.durationMs / 1_000)
    if (seen.error !== undefined) this.#add('api_errors_total', { ...labels, code: keylimeCode(seen.error) })
    else if ((seen.status ?? 0) >= 400) {
      this.#add('api_errors_total', { ...labels, code: `HTTP-${String(seen.status)}` })
    }
  }

  /**
   * Sends what has gathered.
   *
   * @returns Resolves when it is sent or given up; never rejects.
   */
  flush(): Promise<void> {
    // A host slower than the interval gets the next lot when it has taken this one.
    this.#flushing ??= this.#send().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  async #send(): Promise<void> {
    this.#gauges()
    const series = [...this.#series.values()]
    this.#series.clear()
    if (series.length === 0) return
    try {
      const metrics = await this.#hosts.metrics()
      const options = { timeoutMs: CALL_TIMEOUT_MS }
      for (const { name, labels, value, samples } of series) {
        const key = ['keylime', name]
        const { kind } = METRICS[name]
        if (kind === 'counter') await metrics.incrCounter(key, value, labels, options)
        else if (kind === 'gauge') await metrics.setGauge(key, value, labels, options)
        else for (const sample of samples) await metrics.addSample(key, sample, labels, options)
      }
    } catch (error) {
      if (this.#complained) return
      this.#complained = true
      this.#log.debug('Metrics are not delivered', { reason: error instanceof Error ? error.message : 'unknown' })
    }
  }

  /** Stops, after a last try to send. @returns Resolves within a few seconds; never rejects. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#flushing
    await this.flush()
  }

  #gauges(): void {
    if (this.#timer === undefined) return
    this.#of('attest_in_flight', {}).value = this.#inFlight
    if (this.#certificate === undefined) return
    const { left, file } = this.#certificate
    this.#of('certificate_remaining_ratio', { file }).value = left
  }

  #of(name: MetricName, labels: Labels): Series {
    // The labels of a metric come in one order.
    const key = [name, ...Object.values(labels)].join('\n')
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { name, labels, value: 0, samples: [], seen: 0 }
      this.#series.set(key, series)
    }
    return series
  }

  #add(name: MetricName, labels: Labels): void {
    this.#of(name, labels).value += 1
  }

  #sample(name: MetricName, labels: Labels, value: number): void {
    const series = this.#of(name, labels)
    series.seen += 1
    if (series.samples.length < MAX_SAMPLES) {
      series.samples.push(value)
      return
    }
    // Reservoir: every sample of the interval has the same chance to be sent.
    const place = Math.floor(Math.random() * series.seen)
    if (place < MAX_SAMPLES) series.samples[place] = value
  }
}

function checksOf(strength: PolicyStrength): string {
  const checks = [
    ...(strength.bootPcrs.length > 0 ? ['pcr'] : []),
    ...(strength.measuredBootEnrolled ? [strength.measuredBoot ? 'measured-boot' : 'measured-boot-enrolled'] : []),
    ...(strength.runtime ? ['runtime'] : []),
  ]
  return checks.length === 0 ? 'none' : checks.join('+')
}
