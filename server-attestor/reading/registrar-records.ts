/**
 * Registrar records for a short time: a node that attests again, or a caller that asks a hundred times, costs one read.
 *
 * @module
 */

import type { AgentId } from '@tower-of-omens/keylime'
import {
  abortReason,
  BoundedMap,
  isKeylimeError,
  KeylimeError,
  untilAborted,
  withDeadline,
} from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'

/** Time for which a record is used without asking again; one that does not fit a quote is asked for again at once. */
export const RECORD_TTL_MS = 60_000
/** Records kept, with their parsed keys: two fleets of 5,000 nodes. */
const MAX_RECORDS = 10_000
/** Bound on one shared read, its place in the queue included. */
const READ_LIMIT_MS = 30_000

/** A record and whether it may be old. */
export interface KnownRecord {
  readonly record: RegistrarRecord
  readonly cached: boolean
}

/** The records of other registrars, beside one that did not fit. */
export interface OtherRecords {
  readonly records: readonly RegistrarRecord[]
  /** Of a registrar that could not answer: what it holds is not known. */
  readonly failure: KeylimeError | undefined
}

/** Function that asks each registrar by itself. */
export type ReadEach = (agentId: AgentId, signal: AbortSignal) => readonly Promise<RegistrarRecord>[]

/** Registrar records, read and kept. */
export class RegistrarRecords {
  readonly #read: (agentId: AgentId, signal: AbortSignal) => Promise<RegistrarRecord>
  readonly #readEach: ReadEach
  readonly #clock: () => number
  readonly #known = new BoundedMap<AgentId, { readonly record: RegistrarRecord; readonly readAt: number }>(MAX_RECORDS)
  readonly #reading = new Map<AgentId, Promise<RegistrarRecord>>()
  readonly #never = new AbortController().signal

  /**
   * @param read Asks the registrars, until one answers.
   * @param clock Milliseconds, never going back; default `performance.now`.
   * @param readEach Asks all of them; empty where there is only one.
   */
  constructor(
    read: (agentId: AgentId, signal: AbortSignal) => Promise<RegistrarRecord>,
    clock: () => number = () => performance.now(),
    readEach: ReadEach = () => [],
  ) {
    this.#read = read
    this.#readEach = readEach
    this.#clock = clock
  }

  /**
   * Gets an agent's record, from memory when it is fresh.
   *
   * @param agentId Whose record.
   * @param signal Ends the wait; a read that others wait for too goes on.
   * @returns The record.
   * @throws {KeylimeError} As the registrar's client. `KEYLIME_AGENT_UNKNOWN`: not registered.
   */
  async get(agentId: AgentId, signal: AbortSignal): Promise<KnownRecord> {
    const known = this.#known.get(agentId)
    if (known !== undefined && this.#clock() - known.readAt < RECORD_TTL_MS) {
      return { record: known.record, cached: true }
    }
    return { record: await this.refresh(agentId, signal), cached: false }
  }

  /**
   * Gets an agent's record from the registrar. Callers that ask at the same time share one read.
   *
   * @param agentId Whose record.
   * @param signal Ends the wait.
   * @returns The record; the same object as before when it has not changed, so that its keys need no new parse.
   * @throws {KeylimeError} As the registrar's client.
   */
  refresh(agentId: AgentId, signal: AbortSignal): Promise<RegistrarRecord> {
    let reading = this.#reading.get(agentId)
    if (reading === undefined) {
      reading = withDeadline(this.#never, READ_LIMIT_MS, (deadline) => this.#read(agentId, deadline.signal))
        .then((record) => this.#keep(agentId, record))
        .finally(() => this.#reading.delete(agentId))
      this.#reading.set(agentId, reading)
    }
    return untilAborted(signal, reading)
  }

  /**
   * Asks every registrar for what it holds for an ID, when the record found first proves nothing.
   *
   * Registration is open, and registrars need not share a database: the first one may hold a stranger for the ID. What
   * is found here is not kept, since the next caller should ask in order again.
   *
   * @param tried The record that proves nothing.
   * @param signal Ends the wait.
   * @returns Every other record, in the order of the configuration; none where there is one registrar.
   * @throws {CallerGone | DeadlinePassed} The signal ended it.
   */
  async others(tried: RegistrarRecord, signal: AbortSignal): Promise<OtherRecords> {
    const answers = await Promise.allSettled(this.#readEach(tried.agentId, signal))
    if (signal.aborted) throw abortReason(signal)
    const records = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const errors = answers.filter((one) => one.status === 'rejected').map((one): unknown => one.reason)
    const unexpected = errors.find((error) => !(error instanceof KeylimeError))
    if (unexpected !== undefined) throw unexpected
    const failure = errors.find(
      (error): error is KeylimeError => isKeylimeError(error) && error.code !== 'KEYLIME_AGENT_UNKNOWN',
    )
    return { records: records.filter((record) => !isSame(record, tried)), failure }
  }

  #keep(agentId: AgentId, read: RegistrarRecord): RegistrarRecord {
    const before = this.#known.get(agentId)?.record
    const record = before !== undefined && isSame(before, read) ? before : read
    this.#known.set(agentId, { record, readAt: this.#clock() })
    return record
  }
}

function isSame(one: RegistrarRecord, other: RegistrarRecord): boolean {
  return (
    one.agentId === other.agentId &&
    one.ip === other.ip &&
    one.port === other.port &&
    areEqual(one.akTpm, other.akTpm) &&
    areEqual(one.ekTpm, other.ekTpm) &&
    areEqual(one.ekCert, other.ekCert)
  )
}

function areEqual(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return Buffer.compare(one, other) === 0
}
