/**
 * Metrics of renewals as a file that node-exporter picks up.
 *
 * @see prometheus/node_exporter, textfile collector
 * @module
 */
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/** How one certificate stands after a run. */
export interface RenewalSeen {
  readonly cert: string
  readonly result: 'renewed' | 'not-due' | 'later' | 'failed'
  /** Share of life that is left, 0 to 1; undefined when there is no certificate. */
  readonly left: number | undefined
}

const SUCCESS = 'towerkeep_renew_last_success_timestamp_seconds'
const RENEWALS = 'towerkeep_renewals_total'
const LEFT = 'towerkeep_certificate_remaining_ratio'

/**
 * Writes the metrics; counters go on from what the file held.
 *
 * @param file Where; must end in `.prom`.
 * @param seen Every certificate of this run.
 * @param now Milliseconds since the epoch.
 */
export function writeMetricsFile(file: string, seen: readonly RenewalSeen[], now: number): void {
  const before = valuesIn(file)
  const counts = new Map([...before].filter(([series]) => series.startsWith(`${RENEWALS}{`)))
  const successes = new Map([...before].filter(([series]) => series.startsWith(`${SUCCESS}{`)))
  for (const { cert, result } of seen) {
    if (result === 'not-due') continue
    const series = `${RENEWALS}{cert="${cert}",result="${result}"}`
    counts.set(series, (counts.get(series) ?? 0) + 1)
    if (result === 'renewed') successes.set(`${SUCCESS}{cert="${cert}"}`, Math.floor(now / 1000))
  }
  const left = seen.flatMap(({ cert, left: share }) =>
    share === undefined ? [] : [`${LEFT}{cert="${cert}"} ${share.toFixed(4)}`],
  )
  const lines = [
    ...family(RENEWALS, 'counter', 'Renewals by result.', counts),
    ...family(SUCCESS, 'gauge', 'When a certificate was renewed last.', successes),
    `# HELP ${LEFT} Share of its life that a certificate has left.`,
    `# TYPE ${LEFT} gauge`,
    ...left,
  ]
  writeFileSync(`${file}.new`, `${lines.join('\n')}\n`)
  // For the collector, which is another user, also under the unit's UMask=0077.
  chmodSync(`${file}.new`, 0o644)
  renameSync(`${file}.new`, file)
}

function family(name: string, type: string, help: string, series: ReadonlyMap<string, number>): readonly string[] {
  const lines = [...series].map(([key, value]) => `${key} ${value}`).toSorted()
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines]
}

function valuesIn(file: string): ReadonlyMap<string, number> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return new Map()
  }
  return new Map(
    [...text.matchAll(/^(towerkeep_[a-z_]+\{[^}\n]*\}) (\d+(?:\.\d+)?)$/gm)].map(([, series = '', value]) => [
      series,
      Number(value),
    ]),
  )
}
