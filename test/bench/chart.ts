/**
 * The measurements as one picture.
 *
 * @module
 */
import type { Side } from './contestants.ts'
import { type Bar, barPanel, type Legend, linePanel, picture } from './drawing.ts'
import type { BenchResults } from './report.ts'
import { spreadOf } from './statistics.ts'

const COLOURS: Readonly<Record<Side, string>> = { ours: '#2f6f9f', go: '#c9833b' }
const LEGEND: readonly Legend[] = [
  { name: 'Tower of Omens', colour: COLOURS.ours },
  { name: 'Go plugin', colour: COLOURS.go },
]

/**
 * Draws throughput, p99, CPU and memory of the two sides.
 *
 * @param results From one run; parts that were not measured are left out.
 */
export function drawBench(results: BenchResults): string {
  const rsa = results.server.filter(({ ak, isFirstSight }) => ak === 'rsa-2048' && !isFirstSight)
  const bars = (measure: (one: (typeof rsa)[number]) => number): Bar[] =>
    barsOf(rsa, ({ inFlight }) => `${inFlight} in flight`, measure)
  const panels = [
    barPanel(
      'Server half: attestations per second',
      bars((one) => one.perSecond),
    ),
    barPanel(
      'Server half: p99, milliseconds',
      bars((one) => one.p99Ms),
    ),
    barPanel(
      'Server half: CPU per attestation, milliseconds',
      bars((one) => one.cpuMs),
    ),
    barPanel(
      'Agent half: attestations per second',
      barsOf(
        results.agent,
        ({ inFlight }) => `${inFlight} in flight`,
        (one) => one.perSecond,
      ),
    ),
    barPanel(
      'All nodes at once, slow verifier: seconds',
      barsOf(
        results.storm.filter(({ phase }) => phase === 'known, all at once'),
        ({ nodes }) => `${nodes} nodes`,
        (one) => one.seconds,
      ),
    ),
    linePanel(
      'Memory (RSS) by attestations, MB',
      results.soak.map(({ side, points }) => ({
        colour: COLOURS[side],
        points: points.map((point) => [point.attestations, point.rssMb] as const),
      })),
    ),
    ...growthPanels(results),
  ]
  return picture(panels, LEGEND)
}

function barsOf<T extends { readonly side: Side }>(
  results: readonly T[],
  group: (one: T) => string,
  measure: (one: T) => number,
): Bar[] {
  const values = new Map<string, { group: string; side: Side; values: number[] }>()
  for (const one of results) {
    const key = `${group(one)} ${one.side}`
    const entry = values.get(key) ?? { group: group(one), side: one.side, values: [] }
    entry.values.push(measure(one))
    values.set(key, entry)
  }
  return [...values.values()].map((entry) => ({
    group: entry.group,
    colour: COLOURS[entry.side],
    value: spreadOf(entry.values),
  }))
}

function growthPanels({ growth }: BenchResults): string[] {
  const ours = growth.map((one) => ({ ...one, side: 'ours' as const }))
  const by = (what: (typeof growth)[number]['by']): typeof ours => ours.filter((one) => one.by === what)
  return [
    barPanel(
      'Ours, by nodes: CPU per attestation, ms',
      barsOf(
        by('nodes'),
        ({ nodes }) => `${nodes}`,
        (one) => one.cpuMs,
      ),
    ),
    barPanel(
      'Ours, by in flight: attestations per second',
      barsOf(
        by('in flight'),
        ({ inFlight }) => `${inFlight}`,
        (one) => one.perSecond,
      ),
    ),
    barPanel(
      'Ours, by selectors: CPU per attestation, ms',
      barsOf(
        by('selectors'),
        ({ selectors }) => `${selectors}`,
        (one) => one.cpuMs,
      ),
    ),
  ]
}
