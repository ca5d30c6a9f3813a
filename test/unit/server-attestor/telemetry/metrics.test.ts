import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import type { MetricLabels, Metrics } from '../../../../plugins/spire-sdk/host-services/host-metrics.ts'
import { RpcError } from '../../../../plugins/spire-sdk/wire/rpc-error.ts'
import { AttestationMetrics, FLUSH_MS, METRICS } from '../../../../server-attestor/telemetry/metrics.ts'

type Sent = readonly [kind: string, key: string, value: number, labels: MetricLabels]

function host(): { readonly sent: Sent[]; readonly metrics: () => Promise<Metrics> } {
  const sent: Sent[] = []
  const take =
    (kind: string) =>
    (key: readonly string[], value: number, labels: MetricLabels = {}): Promise<void> => {
      sent.push([kind, key.join('.'), value, labels])
      return Promise.resolve()
    }
  const offered: Metrics = {
    incrCounter: take('counter'),
    addSample: take('sample'),
    setGauge: take('gauge'),
    measureSince: take('sample'),
    emitKey: () => Promise.resolve(),
  }
  return { sent, metrics: () => Promise.resolve(offered) }
}

const lines: string[] = []
const log = { debug: (message: string) => lines.push(message) }
const STRENGTH = {
  comparedPcrs: [7],
  bootPcrs: [7],
  quotedPcrs: [],
  measuredBootEnrolled: true,
  measuredBoot: false,
  runtime: true,
}

beforeEach(() => {
  vi.useFakeTimers()
  lines.length = 0
})
afterEach(() => {
  vi.useRealTimers()
})

describe('AttestationMetrics', () => {
  it('sums up and sends every few seconds, under the names and labels that are documented', async () => {
    const { sent, metrics: offered } = host()
    const metrics = new AttestationMetrics({ metrics: offered }, log)
    for (let count = 0; count < 3; count += 1) {
      metrics.began()
      metrics.ended('admitted', 'OK', 1_500)
    }
    metrics.began()
    metrics.admitted(2, STRENGTH)
    metrics.shadowed('KL-GATE-STALE')
    metrics.requested({ role: 'keylime verifier', operation: 'get_agent', durationMs: 20, status: 200 })
    metrics.requested({ role: 'keylime verifier', operation: 'get_agent', durationMs: 20, status: 404 })
    const error = new KeylimeError('KEYLIME_TIMEOUT', 'slow')
    metrics.requested({ role: 'keylime registrar', operation: 'get_registered_agent', durationMs: 5_000, error })
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(FLUSH_MS)
    expect(sent).toEqual([
      ['counter', 'keylime.attest_total', 3, { result: 'admitted', code: 'OK' }],
      ['sample', 'keylime.attest_seconds', 1.5, { result: 'admitted' }],
      ['sample', 'keylime.attest_seconds', 1.5, { result: 'admitted' }],
      ['sample', 'keylime.attest_seconds', 1.5, { result: 'admitted' }],
      ['sample', 'keylime.last_success_age_seconds', 2, {}],
      ['counter', 'keylime.policy_total', 1, { checks: 'pcr+measured-boot-enrolled+runtime' }],
      ['counter', 'keylime.shadow_refusals_total', 1, { code: 'KL-GATE-STALE' }],
      ['sample', 'keylime.api_seconds', 0.02, { service: 'verifier', operation: 'get_agent' }],
      ['sample', 'keylime.api_seconds', 0.02, { service: 'verifier', operation: 'get_agent' }],
      ['counter', 'keylime.api_errors_total', 1, { service: 'verifier', operation: 'get_agent', code: 'HTTP-404' }],
      ['sample', 'keylime.api_seconds', 5, { service: 'registrar', operation: 'get_registered_agent' }],
      [
        'counter',
        'keylime.api_errors_total',
        1,
        { service: 'registrar', operation: 'get_registered_agent', code: 'KL-KEYLIME-TIMEOUT' },
      ],
      ['gauge', 'keylime.attest_in_flight', 1, {}],
    ])
    for (const [kind, key, , labels] of sent) {
      const documented = METRICS[key.replace('keylime.', '') as keyof typeof METRICS]
      expect([kind, Object.keys(labels).toSorted()]).toEqual([documented.kind, [...documented.labels].toSorted()])
    }
    await metrics.close()
  })

  it('thins out the samples of a storm', async () => {
    const { sent, metrics: offered } = host()
    const metrics = new AttestationMetrics({ metrics: offered }, log)
    for (let count = 0; count < 5_000; count += 1) {
      metrics.began()
      metrics.ended('admitted', 'OK', count)
    }
    await metrics.flush()
    expect(sent.filter(([kind]) => kind === 'sample')).toHaveLength(50)
    expect(sent.find(([kind]) => kind === 'counter')?.[2]).toBe(5_000)
    await metrics.close()
  })

  it('hurts nobody when the host offers no metrics, and says so once', async () => {
    const metrics = new AttestationMetrics(
      { metrics: () => Promise.reject(new RpcError('FAILED_PRECONDITION', 'not offered')) },
      log,
    )
    for (let round = 0; round < 3; round += 1) {
      metrics.began()
      metrics.ended('failed', 'KL-BUSY', 1)
      await metrics.flush()
    }
    await metrics.close()
    expect(lines).toEqual(['Metrics are not delivered'])
  })

  it('asks the host for nothing before the first attestation', async () => {
    const { sent, metrics: offered } = host()
    const metrics = new AttestationMetrics({ metrics: offered }, log)
    await vi.advanceTimersByTimeAsync(10 * FLUSH_MS)
    await metrics.close()
    expect(sent).toEqual([])
  })
})
