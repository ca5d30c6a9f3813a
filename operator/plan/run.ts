/**
 * The way a plan is carried out: ask, journal, act, verify, and take back what was done when a step fails.
 *
 * @module
 */
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import { type Ask, confirm } from './confirm.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { DoneButLook, type Plan, type Step, type StepFacts, type StepRecord, type StepState } from './step.ts'

/** How a plan is carried out. */
export interface RunOptions {
  readonly dryRun: boolean
  readonly yes: boolean
  readonly journalFolder: string
  readonly ask?: Ask | undefined
  /** Progress, a line each without a line end. */
  readonly say: (line: string) => void
  readonly signal: AbortSignal
  /** Default: the clock. */
  readonly now?: () => Date
}

/** How it went. */
export interface RunOutcome {
  readonly exit: ExitCode
  readonly outcome: 'dry-run' | 'nothing-to-do' | 'done' | 'look' | 'failed' | 'undone'
  readonly steps: readonly StepRecord[]
  /** What to look at, or why it failed. */
  readonly messages: readonly string[]
  /** File of the journal; absent when nothing was done. */
  readonly journal?: string
  readonly undo?: string
  /** The error of the step that failed. */
  readonly error?: unknown
}

/**
 * Carries a plan out.
 *
 * @param plan The plan.
 * @param options Dry run, confirmation, journal, progress.
 * @returns How it went: exit 0 done or nothing to do, 1 done but look, 2 failed, or the exit code of the step's own
 *   {@link OperatorError}.
 * @throws {OperatorError} Before anything was done: `TK-PLAN-UNCONFIRMED`, `TK-PLAN-JOURNAL`.
 */
export async function runPlan(plan: Plan, options: RunOptions): Promise<RunOutcome> {
  const already = await doneBefore(plan.steps, options.signal)
  const planned = plan.steps.map(
    ({ id, title }): StepRecord => ({ id, title, state: already.has(id) ? 'already' : 'planned' }),
  )
  if (plan.steps.every(({ id }) => already.has(id))) {
    return { exit: EXIT.ok, outcome: 'nothing-to-do', steps: planned, messages: [] }
  }
  for (const line of planLines(plan, planned)) options.say(line)
  if (options.dryRun) return { exit: EXIT.ok, outcome: 'dry-run', steps: planned, messages: [] }
  if (plan.confirm !== undefined) await confirm(plan.confirm, options)
  return new PlanRun(plan, options, planned).run()
}

/** Steps at the head of the plan that need not be done; a later one is asked when its turn comes. */
async function doneBefore(steps: readonly Step[], signal: AbortSignal): Promise<ReadonlySet<string>> {
  const done = new Set<string>()
  for (const step of steps) {
    if (step.isDone === undefined || !(await step.isDone(signal))) break
    done.add(step.id)
  }
  return done
}

function planLines(plan: Plan, steps: readonly StepRecord[]): readonly string[] {
  return [
    `plan: ${plan.verb} ${plan.subject}`,
    ...steps.map(({ title, state }, at) => `  ${at + 1}. ${title}${state === 'already' ? ' (done before)' : ''}`),
    ...(plan.notes ?? []).map((note) => `  ${note}`),
  ]
}

/** One plan while it is carried out. */
class PlanRun {
  readonly #plan: Plan
  readonly #options: RunOptions
  readonly #steps: StepRecord[]
  readonly #journal: Journal
  readonly #at: string
  readonly #looks: string[] = []
  #outcome: JournalEntry['outcome'] = 'running'

  constructor(plan: Plan, options: RunOptions, planned: readonly StepRecord[]) {
    this.#plan = plan
    this.#options = options
    this.#steps = [...planned]
    this.#at = this.#now()
    this.#journal = new Journal(options.journalFolder, this.#entry())
  }

  async run(): Promise<RunOutcome> {
    for (const [index, step] of this.#plan.steps.entries()) {
      try {
        await this.#carryOut(index, step)
      } catch (error) {
        return this.#fail(index, error)
      }
    }
    this.#outcome = this.#looks.length > 0 ? 'look' : 'done'
    const unwritten = this.#tryWrite()
    if (unwritten !== undefined) {
      this.#outcome = 'look'
      this.#looks.push(unwritten)
    }
    return this.#result(this.#looks.length > 0 ? EXIT.warning : EXIT.ok, this.#looks)
  }

  async #carryOut(index: number, step: Step): Promise<void> {
    const { signal, say } = this.#options
    signal.throwIfAborted()
    if (this.#steps[index]?.state === 'already' || (step.isDone !== undefined && (await step.isDone(signal)))) {
      return this.#note(index, 'already')
    }
    this.#note(index, 'begun')
    let facts: StepFacts = {}
    try {
      facts = await step.act(signal)
      await step.verify?.(signal)
      this.#note(index, 'done', { facts })
    } catch (error) {
      if (!(error instanceof DoneButLook)) throw error
      this.#looks.push(error.message)
      this.#note(index, 'done', { facts, error: error.message })
    }
    say(`done: ${step.title}`)
  }

  async #fail(index: number, error: unknown): Promise<RunOutcome> {
    const message = reasonOf(error)
    this.#noteAnyway(index, 'failed', { error: message })
    const undone = this.#plan.onFailure === 'undo' && (await this.#takeBack(index))
    this.#outcome = undone ? 'undone' : 'failed'
    this.#tryWrite()
    const hint =
      this.#plan.onFailure === 'keep' ? ['when that is mended, the same command goes on where it stopped'] : []
    const exit = error instanceof OperatorError ? error.exit : EXIT.critical
    return { ...this.#result(exit, [`${this.#plan.steps[index]?.title}: ${message}`, ...hint]), error }
  }

  /** @returns Whether every step that has a way back went back. */
  async #takeBack(from: number): Promise<boolean> {
    let whole = true
    for (let index = from; index >= 0; index -= 1) {
      const step = this.#plan.steps[index]
      if (step?.undo === undefined || this.#steps[index]?.state === 'already') continue
      try {
        await step.undo()
        this.#noteAnyway(index, index === from ? 'failed' : 'undone')
        this.#options.say(`taken back: ${step.title}`)
      } catch (error) {
        whole = false
        this.#noteAnyway(index, 'undo-failed', { error: reasonOf(error) })
        this.#options.say(`cannot be taken back: ${step.title}: ${reasonOf(error)}`)
      }
    }
    return whole
  }

  #note(index: number, state: StepState, more: { readonly facts?: StepFacts; readonly error?: string } = {}): void {
    const before = this.#steps[index]
    if (before === undefined) return
    this.#steps[index] = { ...before, state, at: this.#now(), ...more }
    this.#journal.write(this.#entry())
  }

  // What was done must go back, journal or not.
  #noteAnyway(index: number, state: StepState, more: { readonly error?: string } = {}): void {
    try {
      this.#note(index, state, more)
    } catch (error) {
      this.#options.say(reasonOf(error))
    }
  }

  /** Returns why the journal cannot be written. */
  #tryWrite(): string | undefined {
    try {
      this.#journal.write(this.#entry())
      return undefined
    } catch (error) {
      return reasonOf(error)
    }
  }

  #result(exit: ExitCode, messages: readonly string[]): RunOutcome {
    const { undoCommand } = this.#plan
    const outcome = this.#outcome === 'running' ? 'failed' : this.#outcome
    return {
      exit,
      outcome,
      steps: this.#steps,
      messages,
      journal: this.#journal.path,
      ...(undoCommand !== undefined && { undo: undoCommand }),
    }
  }

  #entry(): JournalEntry {
    const { verb, subject, undoCommand } = this.#plan
    return {
      schema: 'towerkeep/journal/v1',
      verb,
      subject,
      at: this.#at,
      uid: process.geteuid?.() ?? -1,
      outcome: this.#outcome,
      steps: this.#steps,
      ...(undoCommand !== undefined && { undo: undoCommand }),
    }
  }

  #now(): string {
    return (this.#options.now?.() ?? new Date()).toISOString()
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
