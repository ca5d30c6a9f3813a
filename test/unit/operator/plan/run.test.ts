import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, asyncProperty, constantFrom, uniqueArray } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../../../operator/exit-codes.ts'
import { OperatorError } from '../../../../operator/operator-error.ts'
import { changeReport } from '../../../../operator/plan/change-report.ts'
import { readJournal } from '../../../../operator/plan/journal.ts'
import { type RunOptions, runPlan } from '../../../../operator/plan/run.ts'
import { DoneButLook, type Plan, type Step } from '../../../../operator/plan/step.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const said: string[] = []
const options = (more: Partial<RunOptions> = {}): RunOptions => {
  said.length = 0
  return {
    dryRun: false,
    yes: true,
    journalFolder: join(folder, 'journal'),
    say: (line) => said.push(line),
    signal: new AbortController().signal,
    now: () => new Date('2026-11-28T08:00:00Z'),
    ...more,
  }
}

/** A plan over a set of names: each step adds one, and its way back removes it. */
const adding = (world: Set<string>, names: readonly string[], failing?: string): Plan => ({
  verb: 'test',
  subject: 'auth',
  onFailure: 'undo',
  undoCommand: 'towerkeep untest auth',
  steps: names.map(
    (name): Step => ({
      id: name,
      title: `add ${name}`,
      isDone: () => Promise.resolve(world.has(name)),
      act: () => {
        if (name === failing) return Promise.reject(new Error(`${name} is refused`))
        world.add(name)
        return Promise.resolve({ name })
      },
      undo: () => {
        world.delete(name)
        return Promise.resolve()
      },
    }),
  ),
})

describe('a plan', () => {
  it('goes back whole when its journal can be written no more, and says so when only its end is missing', async () => {
    const world = new Set<string>()
    const journalFolder = join(folder, 'journal')
    const breaking = (steps: readonly Step[], at: number): readonly Step[] =>
      steps.map((step, index) => ({
        ...step,
        act: async (signal) => {
          // The folder is gone from here on, and a file stands in its place.
          if (index === at) rmSync(journalFolder, { recursive: true, force: true })
          if (index === at) writeFileSync(journalFolder, '')
          return step.act(signal)
        },
      }))
    const plan = adding(world, ['a', 'b', 'c'])
    const ran = await runPlan({ ...plan, steps: breaking(plan.steps, 1) }, options())
    expect([ran.outcome, [...world], ran.messages.join()]).toEqual([
      'undone',
      [],
      expect.stringContaining('it lacks what was done since'),
    ])
    rmSync(journalFolder)
    const say = (line: string): void => {
      if (line !== 'done: add a') return
      rmSync(journalFolder, { recursive: true, force: true })
      writeFileSync(journalFolder, '')
    }
    const done = await runPlan(adding(world, ['a']), options({ say }))
    expect([done.outcome, done.exit, [...world]]).toEqual(['look', 1, ['a']])
  })

  it('is carried out step by step, and its journal says what was done and how to take it back', async () => {
    const world = new Set<string>()
    const outcome = await runPlan(adding(world, ['a', 'b']), options())
    expect([outcome.exit, outcome.outcome, [...world]]).toEqual([0, 'done', ['a', 'b']])
    expect(said).toEqual(['plan: test auth', '  1. add a', '  2. add b', 'done: add a', 'done: add b'])
    const [entry] = readJournal(join(folder, 'journal'))
    expect(entry).toMatchObject({ verb: 'test', subject: 'auth', outcome: 'done', undo: 'towerkeep untest auth' })
    expect(entry?.steps.map(({ id, state, facts }) => [id, state, facts])).toEqual([
      ['a', 'done', { name: 'a' }],
      ['b', 'done', { name: 'b' }],
    ])
    expect(statSync(outcome.journal ?? '').mode & 0o777).toBe(0o600)
  })

  it('that has nothing to do is exit 0, asks nobody and writes no journal', async () => {
    const world = new Set(['a', 'b'])
    const outcome = await runPlan(
      { ...adding(world, ['a', 'b']), confirm: { word: 'x', what: 'y' } },
      options({ yes: false }),
    )
    expect([outcome.exit, outcome.outcome, outcome.journal]).toEqual([0, 'nothing-to-do', undefined])
    expect(readJournal(join(folder, 'journal'))).toEqual([])
  })

  it('is only printed in a dry run', async () => {
    const world = new Set(['a'])
    const outcome = await runPlan(
      { ...adding(world, ['a', 'b']), notes: ['two hosts are hit'] },
      options({ dryRun: true }),
    )
    expect([outcome.exit, outcome.outcome, [...world]]).toEqual([0, 'dry-run', ['a']])
    expect(said).toEqual(['plan: test auth', '  1. add a (done before)', '  2. add b', '  two hosts are hit'])
    expect(readJournal(join(folder, 'journal'))).toEqual([])
  })

  it('whose step fails goes back, the last step first, and the journal keeps why', async () => {
    const world = new Set<string>()
    const outcome = await runPlan(adding(world, ['a', 'b', 'c'], 'c'), options())
    expect([outcome.exit, outcome.outcome, world.size]).toEqual([2, 'undone', 0])
    expect(outcome.messages).toEqual(['add c: c is refused'])
    expect(said.slice(-3)).toEqual(['taken back: add c', 'taken back: add b', 'taken back: add a'])
    expect(readJournal(join(folder, 'journal'))[0]?.steps.map(({ state, error }) => [state, error])).toEqual([
      ['undone', undefined],
      ['undone', undefined],
      ['failed', 'c is refused'],
    ])
  })

  it('that keeps what it did is resumed by the same command', async () => {
    const world = new Set<string>()
    const first = await runPlan({ ...adding(world, ['a', 'b'], 'b'), onFailure: 'keep' }, options())
    expect([first.exit, first.outcome, [...world]]).toEqual([2, 'failed', ['a']])
    expect(first.messages).toEqual([
      'add b: b is refused',
      'when that is mended, the same command goes on where it stopped',
    ])
    const second = await runPlan({ ...adding(world, ['a', 'b']), onFailure: 'keep' }, options())
    expect([second.exit, second.steps.map(({ state }) => state)]).toEqual([0, ['already', 'done']])
  })

  it('never takes back what it found done [operator:plan:rollback]', async () => {
    const names = ['a', 'b', 'c', 'd']
    await assert(
      asyncProperty(uniqueArray(constantFrom(...names)), constantFrom(...names), async (before, failing) => {
        const world = new Set(before)
        await runPlan(adding(world, names, failing), options())
        const expected = before.includes(failing) ? names : before
        expect([...world].toSorted()).toEqual(expected.toSorted())
      }),
    )
    expect(names).toHaveLength(4)
  })

  it('that a step wants looked at is done with exit 1', async () => {
    const plan: Plan = {
      verb: 'renew',
      subject: 'agent',
      onFailure: 'undo',
      steps: [{ id: 'hook', title: 'run the hook', act: () => Promise.reject(new DoneButLook('hook ended with 3')) }],
    }
    const outcome = await runPlan(plan, options())
    expect([outcome.exit, outcome.outcome, outcome.messages]).toEqual([1, 'look', ['hook ended with 3']])
    const report = changeReport(plan, outcome)
    expect(report.schema).toBe('towerkeep/renew/v1')
    expect(report.text?.({ columns: 0, paint: (_, text) => text, strong: (text) => text, faint: (text) => text })).toBe(
      'renew agent: look\n+ run the hook\nhook ended with 3\n',
    )
  })

  it("ends with the exit code of the step's own error", async () => {
    const sealed = new OperatorError('TK-PKI-SEALED', 'openbao is sealed', { exit: EXIT.tryLater })
    const steps: Step[] = [{ id: 'ask', title: 'ask', act: () => Promise.reject(sealed) }]
    const outcome = await runPlan({ verb: 'renew', subject: 'agent', onFailure: 'undo', steps }, options())
    expect([outcome.exit, outcome.error]).toEqual([75, sealed])
  })

  it('is refused before anything is done when its journal cannot be written [operator:plan:journal-first]', async () => {
    const world = new Set<string>()
    writeFileSync(join(folder, 'file'), '')
    const run = runPlan(adding(world, ['a']), options({ journalFolder: join(folder, 'file', 'journal') }))
    await expect(run).rejects.toMatchObject({
      code: 'TK-PLAN-JOURNAL',
      exit: 3,
      message: /cannot be written \(ENOTDIR\): nothing was begun/,
    })
    expect(world.size).toBe(0)
  })

  it('does not read a journal file that is none', () => {
    writeFileSync(join(folder, 'a.json'), '{"schema":"other"}')
    writeFileSync(join(folder, 'b.json'), '{')
    chmodSync(folder, 0o700)
    expect(readJournal(folder)).toEqual([])
    expect(readFileSync(join(folder, 'b.json'), 'utf8')).toBe('{')
  })
})

const asking = (answer: string | undefined): Partial<RunOptions> => ({
  yes: false,
  ...(answer !== undefined && { ask: () => Promise.resolve(answer) }),
})
const asked = (world: Set<string>): Plan => ({
  ...adding(world, ['a']),
  confirm: { word: 'auth', what: "the host's name" },
})

describe('the question before a change', () => {
  it('takes the word and nothing else', async () => {
    const world = new Set<string>()
    const wrong = runPlan(asked(world), options(asking('yes')))
    await expect(wrong).rejects.toMatchObject({
      exit: 3,
      message: 'not confirmed, so nothing was done: expected auth, got "yes"',
    })
    await expect(runPlan(asked(world), options(asking('')))).rejects.toMatchObject({ message: /got nothing$/ })
    expect(world.size).toBe(0)
    expect((await runPlan(asked(world), options(asking(' auth\n')))).exit).toBe(0)
  })

  it('refuses where nobody can be asked', async () => {
    const world = new Set<string>()
    await expect(runPlan(asked(world), options(asking(undefined)))).rejects.toMatchObject({
      code: 'TK-PLAN-UNCONFIRMED',
      exit: 3,
      message:
        'not confirmed, so nothing was done: nobody can be asked here (no terminal, or --output json): add --yes when the plan is right',
    })
    expect(world.size).toBe(0)
  })
})
