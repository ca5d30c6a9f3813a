/**
 * Registrar records for a short time: a node that attests again, or a caller that asks a hundred times, costs one read.
 *
 * @module
 */
import type { AgentId } from '../plugins/keylime/ids.ts'
import type { RegistrarRecord } from '../plugins/keylime/registrar-client.ts'
import { BoundedMap } from './bounded-map.ts'
import { untilAborted, withDeadline } from './deadline.ts'

/** Is how long a record is used without asking again; one that does not fit a quote is asked for again at once. */
export const RECORD_TTL_MS = 60_000
/** Is how many records are kept, with their parsed keys: two fleets of 5,000 nodes. */
const MAX_RECORDS = 10_000
/** Bounds one shared read, its place in the queue included. */
const READ_LIMIT_MS = 30_000

/** Holds a record and whether it may be old. */
export interface KnownRecord {
  readonly record: RegistrarRecord
  readonly cached: boolean
}

/** Reads and keeps registrar records. */
export class RegistrarRecords {
  readonly #read: (agentId: AgentId, signal: AbortSignal) => Promise<RegistrarRecord>
  readonly #clock: () => number
  readonly #known = new BoundedMap<AgentId, { readonly record: RegistrarRecord; readonly readAt: number }>(MAX_RECORDS)
  readonly #reading = new Map<AgentId, Promise<RegistrarRecord>>()
  readonly #never = new AbortController().signal

  /**
   * @param read Asks the registrars.
   * @param clock Milliseconds, never going back; default `performance.now`.
   */
  constructor(
    read: (agentId: AgentId, signal: AbortSignal) => Promise<RegistrarRecord>,
    clock: () => number = () => performance.now(),
  ) {
    this.#read = read
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
