/**
 * The journal: one file for each change, written before and after each step.
 *
 * A change whose journal cannot be written is refused before it begins: nobody could tell later what was done.
 *
 * @module
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import type { StepRecord } from './step.ts'

/** One change, as far as it came. */
export interface JournalEntry {
  readonly schema: 'towerkeep/journal/v1'
  readonly verb: string
  readonly subject: string
  /** ISO 8601, when it began. */
  readonly at: string
  /** Number of the user who made it. */
  readonly uid: number
  readonly outcome: 'running' | 'done' | 'look' | 'failed' | 'undone'
  readonly steps: readonly StepRecord[]
  /** Command that takes it back. */
  readonly undo?: string
}

/** The file of one change. */
export class Journal {
  readonly path: string
  readonly #folder: string

  /**
   * @param folder Made if missing.
   * @param entry The change.
   * @throws {OperatorError} `TK-PLAN-JOURNAL`, exit 3: the folder or file cannot be written.
   */
  constructor(folder: string, entry: JournalEntry) {
    this.#folder = folder
    const stamp = entry.at.replaceAll(/[^0-9]/g, '').slice(0, 17)
    this.path = join(folder, `${stamp}-${entry.verb.replaceAll(' ', '-')}-${fileWord(entry.subject)}.json`)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      this.#put(entry)
    } catch (cause) {
      throw unwritable(this.path, cause, 'nothing was begun')
    }
  }

  /**
   * Writes the change as far as it came, on disk when this returns.
   *
   * @param entry The change.
   * @throws {OperatorError} `TK-PLAN-JOURNAL`, exit 3.
   */
  write(entry: JournalEntry): void {
    try {
      this.#put(entry)
    } catch (cause) {
      throw unwritable(this.path, cause, 'it lacks what was done since')
    }
  }

  #put(entry: JournalEntry): void {
    const aside = join(this.#folder, `.${process.pid}.new`)
    const file = openSync(aside, 'w', 0o600)
    try {
      writeFileSync(file, `${JSON.stringify(entry, null, 2)}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(aside, this.path)
  }
}

/**
 * Reads the journal.
 *
 * @param folder Its folder.
 * @returns Whole entries, the oldest first; none where there is no folder. A file that is no entry is left out.
 */
export function readJournal(folder: string): readonly JournalEntry[] {
  let names: readonly string[]
  try {
    names = readdirSync(folder)
  } catch {
    return []
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .flatMap((name) => entryIn(join(folder, name)))
}

function entryIn(path: string): readonly JournalEntry[] {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return isEntry(value) ? [value] : []
  } catch {
    return []
  }
}

function isEntry(value: unknown): value is JournalEntry {
  return (
    typeof value === 'object' &&
    value !== null &&
    'schema' in value &&
    value.schema === 'towerkeep/journal/v1' &&
    'steps' in value
  )
}

function fileWord(subject: string): string {
  return subject.replaceAll(/[^A-Za-z0-9._-]+/g, '_').slice(0, 80) || 'all'
}

function unwritable(path: string, cause: unknown, so: string): OperatorError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  const message = `journal ${path} cannot be written (${why}): ${so}; free or permit the folder, or give another with --journal`
  return new OperatorError('TK-PLAN-JOURNAL', message, { exit: EXIT.unknown, cause })
}
