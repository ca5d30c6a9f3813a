/**
 * Measures how fast a failed host loses its identity, and writes docs/bench/cut-off.md and the picture
 * docs/tower-tamper.svg.
 *
 * `--tower N`: N rounds on the three-host tower with real SPIRE, Keylime and TPMs: from a changed PCR to no issuance and
 * no Workload API; and how fast the tool itself answers. `--scale N`: N failures among 1,000 hosts, with a fake verifier at the real one's speed and a real SPIRE
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
import { runCommand } from '../lab/processes/commands.ts'
import { type CutOffRound, measureCutOff, restoreHost } from '../lab/tower/cut-off.ts'
import { startKeeper } from '../lab/tower/keeping.ts'
import { Tower } from '../lab/tower/tower.ts'
import { type CutOffResults, cutOffPage, type TowerCutOffs } from './cut-off-page.ts'
import { measureScale } from './cut-off-scale.ts'
import { LoadWatch, loadInWords } from './machine-load.ts'
import { measureStart } from './towerkeep-start.ts'

const PAGE = join(resolve(import.meta.dirname, '../..'), 'docs/bench/cut-off.md')
const DRAW = join(import.meta.dirname, '../lab/tower/draw.ts')
const DATA = PAGE.replace(/\.md$/, '.json')

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { tower: { type: 'string' }, scale: { type: 'string' } } })
  const results = published()
  if (values.scale !== undefined) results.scale = await measureScale(Number(values.scale), tell)
  if (values.tower !== undefined)
    results.tower = await onTower(Number(values.tower), (rounds) => save({ ...results, tower: rounds }))
  save(results)
  tell(`wrote ${PAGE}`)
  if (values.tower !== undefined) tell((await runCommand(process.execPath, [DRAW, 'tower-tamper.svg'])).trim())
}

/** Reads what earlier runs measured; what an older form of this program wrote is left out. */
function published(): CutOffResults {
  if (!existsSync(DATA)) return {}
  const { tower, scale } = JSON.parse(readFileSync(DATA, 'utf8')) as Partial<CutOffResults>
  return {
    ...(tower?.load !== undefined && { tower }),
    ...(scale?.load !== undefined && { scale }),
  }
}

function save(results: CutOffResults): void {
  writeFileSync(DATA, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(PAGE, cutOffPage(results))
}

/** Plays the rounds; each is kept as it ends, since a tower may fall. */
async function onTower(count: number, keep: (soFar: TowerCutOffs) => void): Promise<TowerCutOffs> {
  const parts = { ...(await prepareParts(process.stderr)), ...(await requireTowerTools(process.stderr)) }
  const spire = /spire-([\d.]+)/.exec(parts.spireBin)?.[1] ?? '?'
  const tower = await Tower.up({ parts, prefix: 'twcut', webhook: true, onPart: (what) => tell(what) })
  try {
    const keeper = await startKeeper(tower)
    tell('how fast the tool answers')
    const start = await measureStart(tower)
    const load = new LoadWatch()
    const rounds: CutOffRound[] = []
    const hosts = [...tower.hosts.values()]
    const soFar = (): TowerCutOffs => ({ spire, rounds, load: load.load, start })
    for (let round = 0; round < count; round += 1) {
      // A host that was healed has had its quotes for two rounds when it is its turn again.
      const host = hosts[round % hosts.length]
      if (host === undefined) break
      load.look()
      const one = await measureCutOff(tower, host)
      rounds.push(one)
      keep(soFar())
      const said = `issuance ${Math.round(one.issuanceMs)} ms, Workload API ${Math.round(one.workloadMs)} ms`
      tell(`round ${round + 1}, ${host.name}: ${said}, ${loadInWords(load.load)}`)
      await restoreHost(tower, host)
    }
    await keeper.stop()
    return soFar()
  } finally {
    await tower.down()
  }
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`)
}

await main()
