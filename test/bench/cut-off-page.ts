/**
 * The page about how fast a failed host loses its identity.
 *
 * @module
 */
import type { CutOffRound } from '../lab/tower/cut-off.ts'
import type { ScaleResult } from './cut-off-scale.ts'
import { loadInWords, type MachineLoad } from './machine-load.ts'
import { percentile } from './statistics.ts'
import type { StartResult } from './towerkeep-start.ts'

/** Rounds on the tower. */
export interface TowerCutOffs {
  readonly spire: string
  readonly rounds: readonly CutOffRound[]
  readonly load: MachineLoad
  readonly start: StartResult
}

/** Everything that was measured, in whichever runs. */
export interface CutOffResults {
  tower?: TowerCutOffs
  scale?: ScaleResult
}

function row(name: string, values: readonly number[]): string {
  const cells = [50, 99].map((percent) => Math.round(percentile(values, percent)))
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

/**
 * Writes the page.
 *
 * @param results What has been measured so far.
 * @returns Markdown.
 */
export function cutOffPage({ tower, scale }: CutOffResults): string {
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

Real SPIRE ${tower.spire}, real Keylime, software TPMs; a quote every 2 s, \`sync_interval = "1s"\`, \`towerkeep watch\` in mode
\`ban\`; ${loadInWords(tower.load)}.

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
\`\`\`

## How fast the tool answers

| | runs | p50 | p99 | max |
|---|---|---|---|---|
${row('towerkeep --help', tower.start.helpMs)}
${row('names of hosts for completion', tower.start.completeMs)}
${row('towerkeep status of three hosts', tower.start.statusMs)}`)
  }
  if (scale !== undefined) {
    parts.push(`## From the bell to the ban, among ${scale.hosts} hosts

A fake verifier that serves one request at a time at the real one's speed, a real SPIRE ${scale.spire} server with ${scale.hosts} attested agents, all
on one machine; ${loadInWords(scale.load)}.

| | failures | p50 | p99 | max |
|---|---|---|---|---|
${row('one at a time', scale.singleMs)}
${row(`${scale.burstMs.length} at once`, scale.burstMs)}
${row('from the changed PCR to the refusal of an attestation', scale.endToEndMs)}

In the last row the next quote comes within 2 s, the bell rings 100 ms after it and the record is written 100 ms later, as on the
tower; meanwhile the SPIRE server reads each agent's row once a second, as for the syncs of all agents.

Resident memory of the daemon: ${scale.rssMb} MB. Share of a verifier's worker that polling takes: ${scale.pollPercent} %.`)
  }
  return `${parts.join('\n\n')}\n`
}
