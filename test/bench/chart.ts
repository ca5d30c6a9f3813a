/**
 * The measurements as one picture.
 *
 * @module
 */
import type { Side } from './contestants.ts'
import type { BenchResults } from './report.ts'
import { type Spread, spreadOf } from './statistics.ts'

const COLOURS: Readonly<Record<Side, string>> = { ours: '#2f6f9f', go: '#c9833b' }
const NAMES: Readonly<Record<Side, string>> = { ours: 'Tower of Omens', go: 'Go plugin' }
const PANEL = { width: 380, height: 240, left: 52, top: 40, right: 12, bottom: 34 }
const COLUMNS = 2

interface Bar {
  readonly group: string
  readonly side: Side
  readonly value: Spread
}

interface Line {
  readonly side: Side
  readonly points: readonly (readonly [x: number, y: number])[]
}

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
        side,
        points: points.map((point) => [point.attestations, point.rssMb] as const),
      })),
    ),
    ...growthPanels(results),
  ].filter((panel) => panel !== '')
  return picture(panels)
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
  return [...values.values()].map((entry) => ({ group: entry.group, side: entry.side, value: spreadOf(entry.values) }))
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

function picture(panels: readonly string[]): string {
  const rows = Math.ceil(panels.length / COLUMNS)
  const width = COLUMNS * PANEL.width
  const height = rows * PANEL.height + 30
  const placed = panels.map((panel, index) => {
    const x = (index % COLUMNS) * PANEL.width
    const y = Math.floor(index / COLUMNS) * PANEL.height
    return `<g transform="translate(${x} ${y})">${panel}</g>`
  })
  const legend = (['ours', 'go'] as const).map(
    (side, index) =>
      `<rect x="${PANEL.left + index * 150}" y="${height - 22}" width="12" height="12" fill="${COLOURS[side]}"/>` +
      text(PANEL.left + 18 + index * 150, height - 12, NAMES[side], 'start'),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...placed,
    ...legend,
    '</svg>\n',
  ].join('\n')
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', weight = 'normal'): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-weight="${weight}" fill="#333333">${safe}</text>`
}

const PLOT = { width: PANEL.width - PANEL.left - PANEL.right, height: PANEL.height - PANEL.top - PANEL.bottom }

/** Maps a value to a height in the plot, from 0 at the bottom. */
function scaleTo(max: number): (value: number) => number {
  const top = niceCeiling(max)
  return (value) => PANEL.top + PLOT.height * (1 - value / top)
}

/** The next of 1, 2, 2.5, 5, 10 times a power of ten. */
function niceCeiling(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= value) ?? 10) * power
}

function frame(title: string, max: number): string {
  const y = scaleTo(max)
  const top = niceCeiling(max)
  const ticks = [0, top / 2, top].map(
    (tick) =>
      `<line x1="${PANEL.left}" x2="${PANEL.left + PLOT.width}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" stroke="#dddddd"/>` +
      text(PANEL.left - 6, y(tick) + 4, String(Number(tick.toPrecision(3))), 'end'),
  )
  return text(PANEL.left, 22, title, 'start', 'bold') + ticks.join('')
}

function barPanel(title: string, bars: readonly Bar[]): string {
  if (bars.length === 0) return ''
  const max = Math.max(...bars.map(({ value }) => value.max))
  const y = scaleTo(max)
  const groups = [...new Set(bars.map(({ group }) => group))]
  const isAlone = new Set(bars.map(({ side }) => side)).size === 1
  const step = PLOT.width / groups.length
  const width = Math.min(34, step / 3)
  const drawn = bars.map(({ group, side, value }) => {
    const middle = PANEL.left + step * (groups.indexOf(group) + 0.5)
    const x = middle + (isAlone ? -width / 2 : side === 'ours' ? -width - 2 : 2)
    const [top, base] = [y(value.median), y(0)]
    const whisker = `<line x1="${(x + width / 2).toFixed(1)}" x2="${(x + width / 2).toFixed(1)}" y1="${y(value.min).toFixed(1)}" y2="${y(value.max).toFixed(1)}" stroke="#333333"/>`
    const label = text(x + width / 2, y(value.max) - 4, String(Number(value.median.toPrecision(3))), 'middle')
    return `<rect x="${x.toFixed(1)}" y="${top.toFixed(1)}" width="${width.toFixed(1)}" height="${(base - top).toFixed(1)}" fill="${COLOURS[side]}"/>${whisker}${label}`
  })
  const names = groups.map((group, index) =>
    text(PANEL.left + step * (index + 0.5), PANEL.height - 16, group, 'middle'),
  )
  return frame(title, max) + drawn.join('') + names.join('')
}

function linePanel(title: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points)
  if (points.length === 0) return ''
  const maxX = Math.max(...points.map(([x]) => x))
  const maxY = Math.max(...points.map(([, y]) => y))
  const y = scaleTo(maxY)
  const x = (value: number): number => PANEL.left + (PLOT.width * value) / Math.max(1, maxX)
  const drawn = lines.map(({ side, points: own }) => {
    const path = own.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${COLOURS[side]}" stroke-width="2"/>`
  })
  const names = [
    text(PANEL.left, PANEL.height - 16, '0', 'middle'),
    text(PANEL.left + PLOT.width, PANEL.height - 16, String(maxX), 'end'),
  ]
  return frame(title, maxY) + drawn.join('') + names.join('')
}
