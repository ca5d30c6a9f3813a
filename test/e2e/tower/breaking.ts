/**
 * Ways to break a tower, and to mend it.
 *
 * Files are changed under running programs, which read them at their next start: what is to be found is then wrong, and
 * nothing else of the tower suffers by it.
 *
 * @module
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Breakage, Heal } from '../../lab/tower/breakage.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import type { Keeper } from '../../lab/tower/keeping.ts'
import type { Tower } from '../../lab/tower/tower.ts'

/** What breakers need. */
export interface Bench {
  readonly tower: Tower
  /** A host beside the three, with certificates, whose Keylime agent is stopped and which no service knows. */
  readonly spare: TowerHost
  /** The daemon that cuts hosts off; without it that is a finding. */
  keeper: Keeper
  /** Folder that doctor is given as `--certs`. */
  readonly certs: string
  /** Folder that doctor is given as `--journal`. */
  readonly journal: string
}

/** One way to break a tower. */
export interface Breaker extends Breakage {
  /** More words for doctor. */
  readonly words?: readonly string[]
  readonly breakIt: (bench: Bench) => Heal | Promise<Heal>
}

/** Finds a file. */
export type FileOf = (bench: Bench) => string

/** Configuration of the SPIRE server. */
export const SERVER: FileOf = ({ tower }) => tower.spire.confFile

/** Breaks by changing one file's text. */
export function edited(
  fileOf: FileOf,
  from: string | RegExp,
  to: string | ((bench: Bench) => string),
): Breaker['breakIt'] {
  return (bench) => {
    const file = fileOf(bench)
    const before = readFileSync(file, 'utf8')
    const after = typeof to === 'string' ? before.replace(from, to) : before.replace(from, () => to(bench))
    if (after === before) throw new Error(`${file} does not have ${String(from)}`)
    writeFileSync(file, after)
    return () => writeFileSync(file, before)
  }
}

/** Breaks by writing a file for the time being. */
export function written(fileOf: FileOf, text: (bench: Bench) => string): Breaker['breakIt'] {
  return (bench) => {
    const file = fileOf(bench)
    const before = textOf(file)
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text(bench))
    return () => (before === undefined ? rmSync(file) : writeFileSync(file, before))
  }
}

/** Breaks several things as one. */
export function all(...parts: readonly Breaker['breakIt'][]): Breaker['breakIt'] {
  return async (bench) => {
    const heals: Heal[] = []
    const heal = async (): Promise<void> => {
      for (const each of heals) await each()
    }
    try {
      for (const part of parts) heals.unshift(await part(bench))
    } catch (error) {
      await heal()
      throw error
    }
    return heal
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
