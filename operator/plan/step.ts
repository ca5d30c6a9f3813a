/**
 * The steps of a change: what is done, how it is known to have worked, how it is taken back.
 *
 * @module
 */

/** Facts of a step that go into the journal; never a secret. */
export type StepFacts = Readonly<Record<string, string | number | boolean | null>>

/** One step. Each can be run again: a change that was cut off is resumed by the same command. */
export interface Step {
  /** One word or a few, kebab case, unique in the plan. */
  readonly id: string
  /** What it does, in one line. */
  readonly title: string
  /** Tells whether it has been done before; without it the step is always done. */
  readonly isDone?: (signal: AbortSignal) => Promise<boolean>
  /** @returns Facts for the journal. */
  readonly act: (signal: AbortSignal) => Promise<StepFacts>
  /** Proves the effect; throws when there is none. */
  readonly verify?: (signal: AbortSignal) => Promise<void>
  /** Takes it back; called when a later step fails, and only after `act` began. */
  readonly undo?: () => Promise<void>
}

/** A change before it is made. */
export interface Plan {
  /** Such as `renew`. */
  readonly verb: string
  /** What it is about, such as a host's name. */
  readonly subject: string
  readonly steps: readonly Step[]
  /** What a person has to type; without it nobody is asked. */
  readonly confirm?: Confirmation
  /** Lines to print before the question. */
  readonly notes?: readonly string[]
  /** `undo`: steps done are taken back. `keep`: the same command goes on where it stopped. */
  readonly onFailure: 'undo' | 'keep'
  /** Command that takes the change back. */
  readonly undoCommand?: string
}

/** The question before a change. */
export interface Confirmation {
  /** The word to type. */
  readonly word: string
  /** What the word is, such as `the host's name`. */
  readonly what: string
}

/** How one step went. */
export type StepState = 'planned' | 'begun' | 'already' | 'done' | 'failed' | 'undone' | 'undo-failed'

/** A step that ran. */
export interface StepRecord {
  readonly id: string
  readonly title: string
  readonly state: StepState
  /** ISO 8601; absent while it is only planned. */
  readonly at?: string
  readonly facts?: StepFacts
  /** Why it failed. */
  readonly error?: string
}

/**
 * Something that a step needs a person to look at although it was done: an effect not seen yet, or a hook that failed.
 */
export class DoneButLook extends Error {
  override readonly name = 'DoneButLook'
}
