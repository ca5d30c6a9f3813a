/**
 * Draws docs/tower.svg and docs/tower-tamper.svg from what the last runs of scenarios and measurement noted: `node test/lab/tower/draw.ts`;
 * with names, those alone.
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { RigError, reasonOf } from '../processes/errors.ts'
import type { CutOffRound } from './cut-off.ts'
import { SERVICE_NAMES } from './hosts.ts'
import { readHosts } from './seen-hosts.ts'

const WIDTH = 880
const INK = '#24292f'
const MUTED = '#57606a'
const HEALTHY = '#2da44e'
const WARNED = '#d29922'
const BOX = '#f6f8fa'
const EDGE = '#8c959f'

const DOCS = resolve(import.meta.dirname, '..', '..', '..', 'docs')

const PICTURES = { 'tower.svg': towerPicture, 'tower-tamper.svg': tamperPicture } as const

function main(): void {
  const wanted = process.argv.slice(2)
  for (const [name, draw] of Object.entries(PICTURES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    writeFileSync(join(DOCS, name), draw())
    process.stdout.write(`wrote docs/${name}\n`)
  }
}

/** The hosts on their bridge, each with its parts, and what they ask of the services on host `spire`. */
function towerPicture(): string {
  const hosts = readHosts()
  if (hosts.length === 0) throw new RigError('no run has noted its hosts yet: make test-tower')
  const gap = 20
  const box = (WIDTH - gap * (hosts.length + 1)) / hosts.length
  const drawn = hosts.flatMap((host, index) => {
    const x = gap + index * (box + gap)
    const center = x + box / 2
    const isPush = host.mode === 'push'
    const services =
      host.name === 'spire' ? ['SPIRE server + server half, keeper', 'Keylime verifiers, registrar', 'OpenBao'] : []
    const bared = isPush ? ['push mode: no open Keylime port,', 'no certificate, no key file'] : []
    return [
      rect(x, 50, box, 236),
      text(center, 74, `${host.names[0]}`, { size: 14, bold: true }),
      text(center, 92, host.ip, { color: MUTED }),
      ...services.map((service, row) => part(x + 14, 104 + row * 24, box - 28, service, '#ddf4ff')),
      ...bared.map((words, row) => text(center, 134 + row * 16, words, { color: MUTED, size: 11 })),
      part(x + 14, 180, box - 28, 'workload with its SVID', '#dafbe1'),
      part(x + 14, 204, box - 28, `SPIRE agent + agent half${isPush ? ', quotes itself' : ''}`, '#ddf4ff'),
      part(x + 14, 228, box - 28, `Keylime agent (${host.agentKind}${isPush ? ', reports' : ''})`, '#fff8c5'),
      part(x + 14, 252, box - 28, 'TPM 2.0, EK certificate', '#ffebe9'),
      line(center, 286, center, 316),
      text(center, 350, `…/keylime/${host.agentId.slice(0, 12)}…`, { color: MUTED, size: 11 }),
    ]
  })
  return svg(370, [
    text(WIDTH / 2, 28, `“Eye of Thundera” → “Book of Omens” (${SERVICE_NAMES.openbao}) → every certificate below`, {
      size: 13,
    }),
    ...drawn,
    line(gap, 316, WIDTH - gap, 316, 4),
    text(WIDTH / 2, 334, 'bridge 10.10.2.0/24: TLS everywhere but Keylime’s own registration; no route out', {
      color: MUTED,
      size: 11,
    }),
  ])
}

/** Three bars on one time axis: what a tampered host loses, and when; the median round and the slowest of a hundred. */
function tamperPicture(): string {
  const rows = cutOffs()
  const longest = Math.max(...rows.map(({ slow }) => slow))
  const [left, right] = [190, WIDTH - 160]
  const x = (seconds: number): number => left + (seconds / longest) * (right - left)
  const bars = rows.flatMap(({ title, half, slow, words }, index) => {
    const y = 70 + index * 68
    return [
      text(left - 14, y + 22, title, { anchor: 'end', bold: true }),
      bar(x(0), y, Math.max(2, x(half) - x(0)), HEALTHY),
      bar(x(half), y, Math.max(1, x(slow) - x(half)), WARNED),
      text(x(slow) + 8, y + 22, `${half.toFixed(1)} s, p99 ${slow.toFixed(1)} s`, { anchor: 'start', bold: true }),
      text(x(0), y + 52, words, { anchor: 'start', color: MUTED, size: 11 }),
    ]
  })
  const step = longest > 40 ? 10 : longest > 15 ? 5 : 1
  const ticks = Array.from({ length: Math.floor(longest / step) + 1 }, (_, index) => index * step).flatMap(
    (seconds) => [
      line(x(seconds), 280, x(seconds), 286),
      text(x(seconds), 302, `${seconds} s`, { color: MUTED, size: 11 }),
    ],
  )
  const heading = 'From a changed PCR to the end of the host’s identity, with towerkeep watch'
  return svg(320, [
    text(WIDTH / 2, 34, heading, { size: 15, bold: true }),
    ...bars,
    line(left, 280, right, 280),
    ...ticks,
  ])
}

/** One cut-off, in seconds from the change of the PCR. */
interface CutOff {
  readonly title: string
  readonly half: number
  readonly slow: number
  readonly words: string
}

/** The rounds that `node test/bench/cut-off.ts --tower 30` noted. */
function cutOffs(): readonly CutOff[] {
  const file = join(DOCS, 'bench', 'cut-off.json')
  const { tower } = JSON.parse(readFileSync(file, 'utf8')) as { tower?: { rounds: readonly CutOffRound[] } }
  if (tower === undefined) throw new RigError(`${file} has no rounds yet: node test/bench/cut-off.ts --tower 30`)
  const shares = (pick: (round: CutOffRound) => number): Pick<CutOff, 'half' | 'slow'> => {
    const sorted = tower.rounds.map(pick).toSorted((a, b) => a - b)
    const at = (share: number): number => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0) / 1000
    return { half: at(0.5), slow: at(0.99) }
  }
  return [
    {
      title: 'issuance',
      words: 'the SPIRE server mints nothing more for the host',
      ...shares(({ issuanceMs }) => issuanceMs),
    },
    {
      title: 'Workload API',
      words: 'the host’s own SPIRE agent serves no SVID any more',
      ...shares(({ workloadMs }) => workloadMs),
    },
    {
      title: 'accepted by peers',
      words: 'the last SVID that a workload was given ends (SVIDs live 60 s here)',
      ...shares(({ acceptanceMs }) => acceptanceMs),
    },
  ]
}

interface TextStyle {
  readonly size?: number
  readonly bold?: boolean
  readonly color?: string
  readonly anchor?: 'start' | 'middle' | 'end'
}

function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const { size = 12, bold = false, color = INK, anchor = 'middle' } = style
  const weight = bold ? ' font-weight="600"' : ''
  return `<text x="${round(x)}" y="${y}" font-size="${size}" text-anchor="${anchor}" fill="${color}"${weight}>${escaped(words)}</text>`
}

function rect(x: number, y: number, width: number, height: number): string {
  return `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${height}" rx="8" fill="${BOX}" stroke="${EDGE}"/>`
}

function part(x: number, y: number, width: number, words: string, fill: string): string {
  const box = `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="20" rx="4" fill="${fill}"/>`
  return box + text(x + width / 2, y + 14, words, { size: 11 })
}

function bar(x: number, y: number, width: number, fill: string): string {
  return `<rect x="${round(x)}" y="${y}" width="${round(Math.max(width, 1))}" height="34" fill="${fill}"/>`
}

function line(x1: number, y1: number, x2: number, y2: number, width = 1): string {
  return `<line x1="${round(x1)}" y1="${y1}" x2="${round(x2)}" y2="${y2}" stroke="${EDGE}" stroke-width="${width}"/>`
}

function svg(height: number, parts: readonly string[]): string {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif">`
  return `${head}\n<rect width="100%" height="100%" fill="#ffffff"/>\n${parts.join('\n')}\n</svg>\n`
}

function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

try {
  main()
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exitCode = 1
}
