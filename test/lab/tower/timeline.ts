/**
 * What a scenario did and saw, with the time each step took: printed at its end, and kept for pictures.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** One step of a scenario. */
export interface Step {
  /** Seconds since the scenario began. */
  readonly at: number
  readonly what: string
}

/** One scenario as it went. */
export interface ScenarioRecord {
  readonly title: string
  /** Promises it shows. */
  readonly ids: readonly string[]
  readonly steps: readonly Step[]
}

const FILE = join(resolve(import.meta.dirname, '..', '..', '..'), '.tmp', 'tower-timelines.json')

/** Notes the steps of one scenario. */
export class Timeline {
  readonly #title: string
  readonly #ids: readonly string[]
  readonly #steps: Step[] = []
  readonly #began = performance.now()

  /**
   */
  constructor(title: string, ids: readonly string[] = []) {
    this.#title = title
    this.#ids = ids
  }

  /** Seconds since the scenario began. */
  elapsed(): number {
    return (performance.now() - this.#began) / 1000
  }

  /** Notes what was just done or seen. */
  mark(what: string): void {
    this.#steps.push({ at: this.elapsed(), what })
  }

  /** Does something and notes it when it is done. */
  async step<T>(what: string, work: () => Promise<T> | T): Promise<T> {
    const result = await work()
    this.mark(what)
    return result
  }

  /** Prints the scenario and keeps it. */
  end(): void {
    const lines = this.#steps.map(({ at, what }) => `  ${at.toFixed(1).padStart(6)} s  ${what}`)
    console.log(`\n${this.#title}${this.#ids.length === 0 ? '' : ` (${this.#ids.join(', ')})`}\n${lines.join('\n')}`)
    const record: ScenarioRecord = { title: this.#title, ids: this.#ids, steps: this.#steps }
    const others = readTimelines().filter(({ title }) => title !== this.#title)
    mkdirSync(resolve(FILE, '..'), { recursive: true })
    writeFileSync(FILE, JSON.stringify([...others, record], undefined, 2))
  }
}

/** Reads what the scenarios of earlier and of this run noted. */
export function readTimelines(): readonly ScenarioRecord[] {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8')) as readonly ScenarioRecord[]
  } catch {
    return []
  }
}
