/**
 * Host service Metrics: telemetry through the sinks SPIRE is configured with.
 *
 * @module
 */
import { MetricsService } from '../gen/spire/hostservice/common/metrics/v1/metrics.ts'
import type { HostCall, HostCallOptions } from './host-call.ts'

/** Labels of one measurement, name to value. */
export type MetricLabels = Readonly<Record<string, string>>

/** Telemetry. Keys are parts of a name; SPIRE puts its own prefix in front. */
export interface Metrics {
  /** Sets a gauge. */
  setGauge(key: readonly string[], value: number, labels?: MetricLabels, options?: HostCallOptions): Promise<void>
  /** Emits one key with its value. */
  emitKey(key: readonly string[], value: number, options?: HostCallOptions): Promise<void>
  /** Adds to a counter, which only grows. */
  incrCounter(key: readonly string[], value: number, labels?: MetricLabels, options?: HostCallOptions): Promise<void>
  /** Adds one sample to a distribution. */
  addSample(key: readonly string[], value: number, labels?: MetricLabels, options?: HostCallOptions): Promise<void>
  /** Adds the time since a moment, in Unix milliseconds, as a sample. */
  measureSince(key: readonly string[], sinceMs: number, labels?: MetricLabels, options?: HostCallOptions): Promise<void>
}

/**
 * Makes the Metrics client.
 *
 * @param call Calls the host.
 * @returns Client; each method rejects with `RpcError` and the host's status.
 */
export function newMetrics(call: HostCall): Metrics {
  return {
    async setGauge(key, val, labels, options) {
      await call(MetricsService.setGauge, { key: [...key], val, labels: labelList(labels) }, options)
    },
    async emitKey(key, val, options) {
      await call(MetricsService.emitKey, { key: [...key], val }, options)
    },
    async incrCounter(key, val, labels, options) {
      await call(MetricsService.incrCounter, { key: [...key], val, labels: labelList(labels) }, options)
    },
    async addSample(key, val, labels, options) {
      await call(MetricsService.addSample, { key: [...key], val, labels: labelList(labels) }, options)
    },
    async measureSince(key, sinceMs, labels, options) {
      const time = BigInt(Math.round(sinceMs * 1000)) * 1000n
      await call(MetricsService.measureSince, { key: [...key], time, labels: labelList(labels) }, options)
    },
  }
}

function labelList(labels: MetricLabels = {}): { name: string; value: string }[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }))
}
