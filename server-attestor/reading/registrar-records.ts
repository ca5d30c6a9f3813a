/**
 * Registrar records: read anew for each attestation, with those of admitted nodes kept for a first proof.
 *
 * @module
 */

import type { AgentId } from '@tower-of-omens/keylime'
import { abortReason, isKeylimeError, KeylimeError, SharedWork } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import { KeptRecords } from './kept-records.ts'
import type { Asker } from './lanes.ts'

/** A record, and when the read began that gave it. */
export interface ReadRecord {
  readonly record: RegistrarRecord
  /** Milliseconds of the clock of {@link RegistrarRecords.now}. */
  readonly readAt: number
}

/** What registrars hold beside one record that did not fit. */
export interface OtherRecords {
  readonly records: readonly RegistrarRecord[]
  /** Of a registrar that could not answer: what it holds is not known. */
  readonly failure: KeylimeError | undefined
}

/** How registrars are asked. */
export interface RecordSource {
  /**
   * Asks the registrars, until one answers.
   *
   * @param begin To be called when the first request leaves.
   */
  read(agentId: AgentId, asker: Asker, signal: AbortSignal, begin: () => void): Promise<RegistrarRecord>
  /** Asks each registrar by itself; none where there is only one. */
  readEach(agentId: AgentId, asker: Asker, signal: AbortSignal): readonly Promise<RegistrarRecord>[]
}

/** The reads of one ID in one lane: one after the other. */
interface Reads {
  readonly next: SharedWork<ReadRecord>
  /** Settles when the read that has begun has ended. */
  running: Promise<unknown>
  pending: number
}

/** The registrars' records: read anew, those of admitted nodes remembered. */
export class RegistrarRecords {
  readonly #source: RecordSource
  readonly #clock: () => number
  readonly #kept = new KeptRecords()
  readonly #reads = new Map<string, Reads>()

  /**
   * @param source The registrars.
   * @param clock Milliseconds, never going back; default `performance.now`.
   */
  constructor(source: RecordSource, clock: () => number = () => performance.now()) {
    this.#source = source
    this.#clock = clock
  }

  /** Tells the time by which reads are dated. @returns Milliseconds. */
  now(): number {
    return this.#clock()
  }

  /**
   * Finds the record by which a node was admitted, if that is not too long ago. It may be old.
   *
   * @param agentId Whose record.
   * @returns The record, or undefined.
   */
  remembered(agentId: AgentId): RegistrarRecord | undefined {
    return this.#kept.get(agentId, this.#clock())
  }

  /**
   * Keeps the record of a node that has just been admitted by it.
   *
   * @param record The record.
   */
  remember(record: RegistrarRecord): void {
    this.#kept.keep(record, this.#clock())
  }

  /**
   * Reads an agent's record from the registrar. The read begins after this call, never before; callers that ask for one
   * ID share a read that has not begun, and wait for one that has.
   *
   * @param agentId Whose record.
   * @param asker Who asks.
   * @param signal Ends the wait, and the read when nobody else waits for it.
   * @returns The record; the object that is remembered when it has not changed, so that its keys need no new parse.
   * @throws {KeylimeError} As the registrar's client. `KEYLIME_AGENT_UNKNOWN`: not registered.
   */
  async read(agentId: AgentId, asker: Asker, signal: AbortSignal): Promise<ReadRecord> {
    const key = `${asker.isKnown ? 'known' : 'stranger'} ${agentId}`
    const reads = this.#reads.get(key) ?? this.#newReads(agentId, asker)
    this.#reads.set(key, reads)
    reads.pending += 1
    try {
      return await reads.next.join(signal)
    } finally {
      reads.pending -= 1
      if (reads.pending === 0) this.#reads.delete(key)
    }
  }

  /**
   * Asks every registrar for what it holds for an ID, when the record found first proves nothing.
   *
   * Registration is open, and registrars need not share a database: the first one may hold a stranger for the ID. What
   * is found here is not kept, since the next caller should ask in order again.
   *
   * @param tried The record that proves nothing.
   * @param asker Who asks.
   * @param signal Ends the wait.
   * @returns Every other record, in the order of the configuration; none where there is one registrar.
   * @throws {CallerGone | DeadlinePassed} The signal ended it.
   */
  async others(tried: RegistrarRecord, asker: Asker, signal: AbortSignal): Promise<OtherRecords> {
    const answers = await Promise.allSettled(this.#source.readEach(tried.agentId, asker, signal))
    if (signal.aborted) throw abortReason(signal)
    const records = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const errors = answers.filter((one) => one.status === 'rejected').map((one): unknown => one.reason)
    const unexpected = errors.find((error) => !(error instanceof KeylimeError))
    if (unexpected !== undefined) throw unexpected
    const failure = errors.find(
      (error): error is KeylimeError => isKeylimeError(error) && error.code !== 'KEYLIME_AGENT_UNKNOWN',
    )
    return { records: records.filter((record) => !isSameRecord(record, tried)), failure }
  }

  #newReads(agentId: AgentId, asker: Asker): Reads {
    const reads: Reads = {
      running: Promise.resolve(),
      pending: 0,
      next: new SharedWork(async (signal, close) => {
        // One at a time: a caller that asks for one ID again and again takes one place and no more.
        await reads.running
        let readAt = this.#clock()
        const begin = (): void => {
          readAt = this.#clock()
          close()
        }
        const reading = this.#source.read(agentId, asker, signal, begin)
        reads.running = reading.catch(() => undefined)
        return { record: this.#sameAsBefore(await reading), readAt }
      }),
    }
    return reads
  }

  #sameAsBefore(read: RegistrarRecord): RegistrarRecord {
    const before = this.remembered(read.agentId)
    return before !== undefined && isSameRecord(before, read) ? before : read
  }
}

/**
 * Tells whether two records say the same of a node.
 *
 * @param one A record.
 * @param other Another read of it, maybe.
 * @returns True when nothing in them differs.
 */
export function isSameRecord(one: RegistrarRecord, other: RegistrarRecord): boolean {
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
