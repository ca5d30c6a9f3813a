/**
 * The audit log: one line a decision, each chained to the one before by its hash, so that a line taken out shows.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AgentId } from '@tower-of-omens/keylime'

/** One entry, without what the log adds. */
export interface AuditEntry {
  readonly event: string
  readonly agent_id?: string
  readonly spiffe_id?: string
  readonly action?: string
  readonly cause?: string
  readonly code?: string
  readonly mode?: string
  readonly server?: string
  readonly outcome?: string
  readonly message?: string
}

/** Hash before the first line. */
export const FIRST_HASH = '0'.repeat(64)

/** Longest line that is looked for at the end of the file: a person's reason may be 16 KiB, six times that in JSON. */
const TAIL_BYTES = 131_072

/** Appends to one file. */
export class AuditLog {
  readonly #file: string
  readonly #failed: (message: string) => void
  #last: string | undefined

  /**
   * @param file The file; its folder is made when it is missing.
   * @param failed Told when a line cannot be written: the daemon acts all the same, and its log has the line.
   */
  constructor(file: string, failed: (message: string) => void) {
    this.#file = file
    this.#failed = failed
  }

  /**
   * Writes one line.
   *
   * @param entry What was decided or done.
   * @param at When.
   */
  write(entry: AuditEntry, at: Date = new Date()): void {
    try {
      this.#last ??= this.#hashAtEnd()
      const line = auditLine(entry, this.#last, at)
      appendFileSync(this.#file, `${line}\n`, { mode: 0o640 })
      this.#last = hashOf(line)
    } catch (error) {
      // What the file holds is looked at anew next time.
      this.#last = undefined
      this.#failed(`${this.#file}: cannot be written: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #hashAtEnd(): string {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o750 })
    const file = openSync(this.#file, 'a+')
    try {
      const { size } = fstatSync(file)
      const from = Math.max(0, size - TAIL_BYTES)
      const tail = Buffer.alloc(size - from)
      readSync(file, tail, 0, tail.length, from)
      const lines = tail.toString('utf8').split('\n')
      // A line that a full disk cut short is ended, so that the next one stands alone.
      if (lines.at(-1) !== '') appendFileSync(this.#file, '\n')
      const last = lines.findLast((line) => line !== '')
      return last === undefined ? FIRST_HASH : hashOf(last)
    } finally {
      closeSync(file)
    }
  }
}

/**
 * Makes one line.
 *
 * @param entry What was decided or done.
 * @param previous Hash of the line before.
 * @param at When.
 * @returns JSON without a line end.
 */
export function auditLine(entry: AuditEntry, previous: string, at: Date): string {
  return JSON.stringify({ at: at.toISOString(), ...entry, previous })
}

/**
 * Checks a whole audit log.
 *
 * @param text The file.
 * @returns Number of the first line that does not follow from the one before, from 1; undefined when all do.
 */
export function brokenLink(text: string): number | undefined {
  let expected = FIRST_HASH
  const lines = text.split('\n').filter(Boolean)
  for (const [index, line] of lines.entries()) {
    if (previousOf(line) !== expected) return index + 1
    expected = hashOf(line)
  }
  return undefined
}

/**
 * Finds when a host was banned last.
 *
 * @param text The whole audit log.
 * @param agentId The host.
 * @returns Seconds since the epoch; undefined when no ban of it is written down.
 */
export function lastBan(text: string, agentId: AgentId): number | undefined {
  const line = text
    .split('\n')
    .findLast((one) => one.includes(JSON.stringify(agentId)) && isBanOf(valueIn(one), agentId))
  const at = line === undefined ? undefined : valueIn(line)?.['at']
  return typeof at === 'string' ? Math.floor(Date.parse(at) / 1000) : undefined
}

function isBanOf(entry: Readonly<Record<string, unknown>> | undefined, agentId: AgentId): boolean {
  return entry?.['agent_id'] === agentId && entry['event'] === 'done' && entry['outcome'] === 'banned'
}

function valueIn(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function previousOf(line: string): unknown {
  return valueIn(line)?.['previous']
}

function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('hex')
}
