/**
 * The conformance cases as tests: one for each case, with the case in its title.
 *
 * @module
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { buildAll, judgeName } from './build.ts'
import { CASES } from './cases.ts'
import { E2E_CASES } from './e2e-cases.ts'
import { judge, type Run } from './judge.ts'
import { MORE_CASES } from './more-cases.ts'
import { playAll } from './play.ts'

const PLAYED = [...CASES, ...MORE_CASES]

describe('a plugin, as hosts that nobody here wrote see it', () => {
  let runs: Run[] = []

  beforeAll(async () => {
    const executables = await buildAll((line) => process.stderr.write(`${line}\n`))
    runs = await playAll(PLAYED, executables)
  })

  it.each(PLAYED.map((each) => ({ title: `${each.case} [${each.id}] (${judgeName(each.via)})`, each })))(
    '$title',
    ({ each }) => {
      expect(judge(each, runs).differences).toEqual([])
    },
  )
})

describe('the cases', () => {
  it('are numbered from 1 to 62, each once', () => {
    const ids = [...CASES, ...E2E_CASES].map((each) => each.id)
    expect(ids).toEqual(Array.from({ length: 62 }, (_, index) => `C${String(index + 1).padStart(2, '0')}`))
  })
})
