/**
 * Measures how fast a failed host loses its identity, and writes docs/bench/cut-off.md.
 *
 * `--tower N`: N rounds on the three-host tower with real SPIRE, Keylime and TPMs: from a changed PCR to no issuance and
 * no Workload API. `--scale N`: N failures among 1,000 hosts, with a fake verifier at the real one's speed and a real SPIRE
 * server: from the bell to the ban; then 50 at once.
 *
 * Usage: node test/bench/cut-off.ts [--tower 30] [--scale 100]
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareParts } from '../lab/parts/prepare.ts'
import { requireTowerTools } from '../lab/parts/tower-programs.ts'
import { type CutOffRound, measureCutOff, restoreHost } from '../lab/tower/cut-off.ts'
import { startKeeper } from '../lab/tower/keeping.ts'
import { Tower } from '../lab/tower/tower.ts'
import { measureScale, type ScaleResult } from './cut-off-scale.ts'

const PAGE = join(resolve(import.meta.dirname, '../..'), 'docs/bench/cut-off.md')
const DATA = PAGE.replace(/\.md$/, '.json')

interface Results {
  tower?: { readonly spire: string; readonly rounds: readonly CutOffRound[] }
  scale?: ScaleResult
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tower: { type: 'string' }, scale: { type: 'string' } } })
  const results: Results = existsSync(DATA) ? (JSON.parse(readFileSync(DATA, 'utf8')) as Results) : {}
  if (values.scale !== undefined) results.scale = await measureScale(Number(values.scale), tell)
  if (values.tower !== undefined)
    results.tower = await onTower(Number(values.tower), (rounds) => save({ ...results, tower: rounds }))
  save(results)
  tell(`wrote ${PAGE}`)
}

function save(results: Results): void {
  writeFileSync(DATA, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(PAGE, pageOf(results))
}

/** Plays the rounds; each is kept as it ends, since a tower may fall. */
async function onTower(
  count: number,
  keep: (soFar: NonNullable<Results['tower']>) => void,
): Promise<NonNullable<Results['tower']>> {
  const parts = { ...(await prepareParts(process.stderr)), ...(await requireTowerTools(process.stderr)) }
  const spire = /spire-([\d.]+)/.exec(parts.spireBin)?.[1] ?? '?'
  const tower = await Tower.up({ parts, prefix: 'twcut', webhook: true, onPart: (what) => tell(what) })
  try {
    const keeper = await startKeeper(tower)
    const rounds: CutOffRound[] = []
    const hosts = ['auth', 'ca'].map((name) => tower.host(name))
    for (let round = 0; round < count; round += 1) {
      const host = hosts[round % hosts.length]
      if (host === undefined) break
      const one = await measureCutOff(tower, host)
      rounds.push(one)
      keep({ spire, rounds })
      tell(
        `round ${round + 1}: issuance ${Math.round(one.issuanceMs)} ms, Workload API ${Math.round(one.workloadMs)} ms`,
      )
      await restoreHost(tower, host)
    }
    await keeper.stop()
    return { spire, rounds }
  } finally {
    await tower.down()
  }
}

/** The nearest-rank percentile, milliseconds. */
function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

function row(name: string, values: readonly number[]): string {
  const cells = [0.5, 0.99].map((share) => Math.round(percentile(values, share)))
  return `| ${name} | ${values.length} | ${cells.join(' | ')} | ${Math.round(Math.max(...values))} |`
}

/** One bar for each quarter of a second. */
function histogram(values: readonly number[]): string {
  const bins = new Map<number, number>()
  for (const value of values) bins.set(Math.floor(value / 250), (bins.get(Math.floor(value / 250)) ?? 0) + 1)
  const [first, last] = [Math.min(...bins.keys()), Math.max(...bins.keys())]
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const bin = first + index
    const count = bins.get(bin) ?? 0
    return `${`${(bin * 0.25).toFixed(2)} s`.padStart(7)}  ${'#'.repeat(count)}${count > 0 ? ` ${count}` : ''}`
  }).join('\n')
}

function pageOf({ tower, scale }: Results): string {
  const parts = [
    `# How fast a failed host loses its identity

Three cut-offs must be told apart. *Issuance*: the SPIRE server mints nothing more for the host; this is what counts
against somebody who stops the SPIRE agent. *Workload API*: the host's own agent serves no SVID any more; it learns of the
ban at its next sync. *Acceptance*: peers go on taking an SVID that the host already holds until that SVID ends, or until
the authority is rotated; neither ban nor eviction shortens that.

Written by \`node test/bench/cut-off.ts\`; milliseconds.`,
  ]
  if (tower !== undefined) {
    const issuance = tower.rounds.map(({ issuanceMs }) => issuanceMs)
    const workload = tower.rounds.map(({ workloadMs }) => workloadMs)
    const acceptance = tower.rounds.map(({ acceptanceMs }) => acceptanceMs)
    parts.push(`## From a changed PCR, on the three-host tower

Real SPIRE ${tower.spire}, real Keylime, software TPMs; a quote every 2 s, \`sync_interval = "1s"\`, \`towerkeep watch\` in mode \`ban\`.

| | rounds | p50 | p99 | max |
|---|---|---|---|---|
${row('issuance refused', issuance)}
${row('Workload API gone', workload)}
${row('last SVID ended (SVIDs live 60 s)', acceptance)}

Issuance refused:

\`\`\`
${histogram(issuance)}
\`\`\`

Workload API gone:

\`\`\`
${histogram(workload)}
\`\`\``)
  }
  if (scale !== undefined) {
    parts.push(`## From the bell to the ban, among ${scale.hosts} hosts

A fake verifier that serves one request at a time at the real one's speed, a real SPIRE ${scale.spire} server with ${scale.hosts} attested agents, all
on one machine with two cores.

| | failures | p50 | p99 | max |
|---|---|---|---|---|
${row('one at a time', scale.singleMs)}
${row(`${scale.burstMs.length} at once`, scale.burstMs)}

Resident memory of the daemon: ${scale.rssMb} MB. Share of a verifier's worker that polling takes: ${scale.pollPercent} %.`)
  }
  return `${parts.join('\n\n')}\n`
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

await main()
