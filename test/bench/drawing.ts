/**
 * Bars and lines as SVG, for every picture of this folder.
 *
 * @module
 */
import type { Spread } from './statistics.ts'

/** What a colour stands for. */
export interface Legend {
  readonly name: string
  readonly colour: string
}

/** One bar: a median with its whisker. */
export interface Bar {
  readonly group: string
  readonly colour: string
  readonly value: Spread
}

/** One line through points. */
export interface Line {
  readonly colour: string
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly dashed?: boolean
}

const PANEL = { width: 380, height: 240, left: 52, top: 40, right: 12, bottom: 34 }
const PLOT = { width: PANEL.width - PANEL.left - PANEL.right, height: PANEL.height - PANEL.top - PANEL.bottom }
const COLUMNS = 2
const INK = '#333333'

/**
 * Puts panels into one picture, two in a row.
 *
 * @param panels From {@link barPanel} and {@link linePanel}; empty ones are left out.
 * @param legend What the colours mean.
 * @returns A whole SVG file.
 */
export function picture(panels: readonly string[], legend: readonly Legend[]): string {
  const drawn = panels.filter((panel) => panel !== '')
  const width = COLUMNS * PANEL.width
  const height = Math.ceil(drawn.length / COLUMNS) * PANEL.height + 30
  const placed = drawn.map((panel, index) => {
    const x = (index % COLUMNS) * PANEL.width
    const y = Math.floor(index / COLUMNS) * PANEL.height
    return `<g transform="translate(${x} ${y})">${panel}</g>`
  })
  const names = legend.map(
    ({ name, colour }, index) =>
      `<rect x="${PANEL.left + index * 150}" y="${height - 22}" width="12" height="12" fill="${colour}"/>` +
      text(PANEL.left + 18 + index * 150, height - 12, name, 'start'),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...placed,
    ...names,
    '</svg>\n',
  ].join('\n')
}

/**
 * Draws bars in groups, those of one colour at the same side.
 *
 * @returns A panel; empty without bars.
 */
export function barPanel(title: string, bars: readonly Bar[]): string {
  if (bars.length === 0) return ''
  const max = Math.max(...bars.map(({ value }) => value.max))
  const y = scaleTo(max)
  const groups = [...new Set(bars.map(({ group }) => group))]
  const colours = [...new Set(bars.map(({ colour }) => colour))]
  const step = PLOT.width / groups.length
  const width = Math.min(34, step / 3)
  const drawn = bars.map(({ group, colour, value }) => {
    const place = colours.indexOf(colour) - colours.length / 2
    const x = PANEL.left + step * (groups.indexOf(group) + 0.5) + place * (width + 4) + 2
    return barAt(x, width, colour, value, y)
  })
  const names = groups.map((group, index) =>
    text(PANEL.left + step * (index + 0.5), PANEL.height - 16, group, 'middle'),
  )
  return frame(title, max) + drawn.join('') + names.join('')
}

function barAt(x: number, width: number, colour: string, value: Spread, y: (value: number) => number): string {
  const [top, base] = [y(value.median), y(0)]
  const middle = (x + width / 2).toFixed(1)
  const whisker = `<line x1="${middle}" x2="${middle}" y1="${y(value.min).toFixed(1)}" y2="${y(value.max).toFixed(1)}" stroke="${INK}"/>`
  const label = text(x + width / 2, y(value.max) - 4, String(Number(value.median.toPrecision(3))), 'middle')
  return `<rect x="${x.toFixed(1)}" y="${top.toFixed(1)}" width="${width.toFixed(1)}" height="${(base - top).toFixed(1)}" fill="${colour}"/>${whisker}${label}`
}

/**
 * Draws lines over one axis from 0.
 *
 * @param last What stands at the end of the axis; default the largest x.
 * @returns A panel; empty without points.
 */
export function linePanel(title: string, lines: readonly Line[], last?: string): string {
  const points = lines.flatMap((line) => line.points)
  if (points.length === 0) return ''
  const maxX = Math.max(...points.map(([x]) => x))
  const maxY = Math.max(...points.map(([, y]) => y))
  const y = scaleTo(maxY)
  const x = (value: number): number => PANEL.left + (PLOT.width * value) / Math.max(1, maxX)
  const drawn = lines.map(({ colour, points: own, dashed = false }) => {
    const path = own.map(([px, py]) => `${x(px).toFixed(1)},${y(py).toFixed(1)}`).join(' ')
    const dashes = dashed ? ' stroke-dasharray="5 4"' : ''
    return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`
  })
  const names = [
    text(PANEL.left, PANEL.height - 16, '0', 'middle'),
    text(PANEL.left + PLOT.width, PANEL.height - 16, last ?? String(maxX), 'end'),
  ]
  return frame(title, maxY) + drawn.join('') + names.join('')
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', weight = 'normal'): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-weight="${weight}" fill="${INK}">${safe}</text>`
}

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
