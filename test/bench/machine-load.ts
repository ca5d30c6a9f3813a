/**
 * How busy the machine was while something was measured: a figure without it says little.
 *
 * @module
 */
import { cpus, loadavg } from 'node:os'

/** Load averages over a minute, as they were seen. */
export interface MachineLoad {
  readonly cores: number
  readonly min: number
  readonly median: number
  readonly max: number
}

/** Watch on the load while something is measured. */
export class LoadWatch {
  readonly #seen: number[] = []

  /** Notes the load as it is now. */
  look(): void {
    this.#seen.push(loadavg()[0] ?? 0)
  }

  /** Sums up what was seen. */
  get load(): MachineLoad {
    const sorted = this.#seen.toSorted((a, b) => a - b)
    const at = (share: number): number => Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 100) / 100
    return { cores: cpus().length, min: at(0), median: at(0.5), max: at(1) }
  }
}

/**
 * Words a load for a report.
 *
 * @param load What was seen.
 * @returns For instance `load 1.2 (0.8 to 2.4) on 2 cores`.
 */
export function loadInWords({ cores, min, median, max }: MachineLoad): string {
  return `load ${median} (${min} to ${max}) on ${cores} cores`
}
