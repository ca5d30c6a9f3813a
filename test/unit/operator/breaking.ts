// Ways to break a machine, and to mend it.
import type { Breakage, Heal } from '../../lab/tower/breakage.ts'
import type { FakeMachine } from './machine.ts'

/** One way to break a machine; files are put back by themselves. */
export interface Breaker extends Breakage {
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
