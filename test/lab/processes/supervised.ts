/**
 * A process that is started again when it ends, as an init system would: SPIRE agents exit when they are refused.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RigProcess } from './processes.ts'

/** What can be supervised. */
export interface Startable {
  start(): RigProcess
  stop(): Promise<void>
}

/** Milliseconds between an end and the next start, as systemd's `RestartSec=1`. */
const RESTART_MS = 1_000

/** Keeps one process running until it is paused. */
export class Supervised<T extends Startable> {
  readonly target: T
  readonly name: string
  #wanted = false
  #starts = 0
  #loop: Promise<void> | undefined
  #wake = new AbortController()

  /**
   */
  constructor(name: string, target: T) {
    this.name = name
    this.target = target
  }

  /** How often it was started. */
  get starts(): number {
    return this.#starts
  }

  /** Starts it, and again whenever it ends. */
  start(): void {
    if (this.#wanted) return
    this.#wanted = true
    this.#wake = new AbortController()
    this.#loop = this.#run(this.#wake.signal)
  }

  /** Ends it and leaves it so. */
  async pause(): Promise<void> {
    this.#wanted = false
    this.#wake.abort()
    await this.target.stop()
    await this.#loop
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (this.#wanted) {
      this.#starts += 1
      await this.target.start().exited
      if (this.#wanted) await delay(RESTART_MS, undefined, { signal }).catch(() => undefined)
    }
  }
}
