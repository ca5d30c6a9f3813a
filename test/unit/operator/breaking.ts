// Ways to break a machine, and to mend it.
import type { FakeMachine } from './machine.ts'

/** Mends what was broken; files are put back besides. */
export type Heal = () => void | Promise<void>

/** One way to break a machine. */
export interface Breaker {
  readonly what: string
  /** The check that must find it. */
  readonly check: string
  /** The finding that must be the only cause. */
  readonly id: string
  /** Which files it touches: they are put back. */
  readonly files?: readonly string[]
  /** Whether the check runs only when asked to prove. */
  readonly proves?: boolean
  /** Whether the finding is for information only. */
  readonly informs?: boolean
  /** Milliseconds by which the clock is wrong. */
  readonly clockMs?: number
  readonly breakIt?: (machine: FakeMachine) => Heal | void | Promise<Heal | void>
}
