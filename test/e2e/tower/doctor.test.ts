import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tryCommand } from '../../lab/processes/commands.ts'
import type { Heal } from '../../lab/tower/breakage.ts'
import { startKeeper, towerkeepProgram } from '../../lab/tower/keeping.ts'
import { TOWER_BREAKERS } from './breakers.scenario.ts'
import type { Bench, Breaker } from './breaking.ts'
import { HOST_BREAKERS } from './host-breakers.scenario.ts'
import { nobodysProgram } from './nobody.ts'
import { onTower, useTower } from './scenario.ts'
import { causes, documentOf, type VerbDocument, verbsOf } from './verbs.ts'

const tower = useTower('twdoct', { patience: 'short', webhook: true })

const { journal, read } = verbsOf(tower)

/** Two breakers at once: what is to be named first, and what is to follow from it. */
const PAIRS: readonly (readonly [cause: string, consequence: string])[] = [
  ['TK-CONF-INVALID', 'TK-KL-NOTIFY-AGENT'],
  ['TK-CONF-LIST', 'TK-CERT-FILE'],
  ['TK-ID-RANDOM', 'TK-ID-ORPHAN'],
  ['TK-ID-RANDOM', 'TK-ID-SHARED-EK'],
  ['TK-PLUGIN-SUM', 'TK-SRC-SPIRE'],
]

onTower('towerkeep doctor', () => {
  let bench: Bench
  beforeAll(async () => {
    const spare = await tower().raiseNext()
    await spare.issueCertificates()
    const folders = { certs: join(tower().dir, 'certs.d'), journal: journal() }
    bench = { tower: tower(), spare, keeper: await startKeeper(tower()), ...folders }
  })
  afterAll(async () => bench?.keeper.stop())

  const doctor = (...words: readonly string[]): Promise<VerbDocument> =>
    read('doctor', '--journal', bench.journal, '--certs', bench.certs, ...words)

  /** Breaks, looks, and mends whatever was seen. */
  async function seenWith(...breakers: readonly Breaker[]): Promise<VerbDocument> {
    const heals: Heal[] = []
    try {
      for (const { breakIt } of breakers) heals.unshift(await breakIt(bench))
      return await doctor(...breakers.flatMap(({ words = [] }) => words))
    } finally {
      for (const heal of heals) await heal()
    }
  }

  /** What doctor says while breakers are at work. */
  async function looks(...breakers: readonly Breaker[]) {
    const broken = await seenWith(...breakers)
    const finders = breakers.filter(({ check, id }) => foundBy(check, broken).includes(id)).length
    const told = causes(broken).length === 1 ? [] : shown(broken)
    return { broken, seen: { first: broken.findings[0]?.id, causes: causes(broken), finders, told } }
  }

  // What was not mended would be a second cause of the next.
  it.each(TOWER_BREAKERS.map((breaker) => [breaker.what, breaker.id, breaker] as const))(
    'names %s as the only cause: %s [O04]',
    async (_what, id, breaker) => {
      const { seen } = await looks(breaker)
      expect(seen).toEqual(onlyCause(id))
    },
  )

  it.each(PAIRS)('names %s first where %s follows from it [O04]', async (cause, consequence) => {
    const both = [...TOWER_BREAKERS, ...HOST_BREAKERS]
    const breakers = [cause, consequence].flatMap((id) => both.find((breaker) => breaker.id === id) ?? [])
    const { broken, seen } = await looks(...breakers)
    expect(seen).toEqual({ ...onlyCause(cause), finders: 2 })
    expect(broken.findings.find(({ id }) => id === consequence)?.because).toContain(cause)
  })

  it('is silent when all of that is mended [O04]', async () => {
    expect(causes(await doctor())).toEqual([])
  })

  it.each(HOST_BREAKERS.map((breaker) => [breaker.what, breaker.id, breaker] as const))(
    'names %s as the only cause, %s, and is silent when the host is mended [O04]',
    async (_what, id, breaker) => {
      const { seen } = await looks(breaker)
      expect(seen).toEqual(onlyCause(id))
      expect(causes(await doctor())).toEqual([])
    },
  )

  it('says UNKNOWN and nothing else to a user without rights, exit 3 [O05]', async () => {
    const nobody = nobodysProgram(towerkeepProgram(), 'towerkeep')
    const [program, ...args] = tower().network.on('spire', [...nobody.words, 'doctor', '--output', 'json'])
    const ran = await tryCommand(program, args, { timeoutMs: 60_000 })
    nobody.remove()
    const { findings } = documentOf(ran)
    expect([ran.code, findings.length > 0, findings.filter(({ severity }) => severity !== 'unknown')]).toEqual([
      3,
      true,
      [],
    ])
  })
})

const foundBy = (check: string, { items }: VerbDocument): readonly string[] => {
  const found = items.find((item) => item['check'] === check)?.['findings']
  return Array.isArray(found) ? found.map(String) : []
}

/** What is seen of one cause alone. */
const onlyCause = (id: string) => ({ first: id, causes: [id], finders: 1, told: [] })

/** What is shown when a scenario fails. */
const shown = ({ findings }: VerbDocument): readonly string[] =>
  findings.map(({ id, subject, message, because }) => `${id} ${subject}: ${message} (${because.join(' ')})`)
