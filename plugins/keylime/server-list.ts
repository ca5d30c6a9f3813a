/**
 * Several servers of one kind, asked one after another: in order, the one that knows the agent first, the ill ones last.
 *
 * @module
 */
import { isKeylimeError, KeylimeError } from './errors.ts'
import type { TlsLog } from './tls-watch.ts'

/** Is how long a server that failed is asked after the others. */
export const DOWN_MS = 10_000

/** Bounds the memory of which server knows which agent. */
export const MAX_REMEMBERED = 20_000

/** Is one server: a client of it, and its name in messages. */
export interface Named {
  readonly name: string
}

/** Tells how one server does. */
export interface ServerHealth {
  readonly name: string
  readonly isUp: boolean
  /** Failures since it last answered. */
  readonly failures: number
  /** Code of the last failure while it is down. */
  readonly code?: string
}

/** Holds what a list needs besides its servers. */
export interface ServerListOptions {
  readonly log?: TlsLog
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
}

interface Entry<S> {
  readonly server: S
  failures: number
  downUntil: number
  code: string | undefined
}

/** Holds the servers of one kind and what is known about them. */
export class ServerList<S extends Named> {
  readonly #entries: readonly Entry<S>[]
  readonly #log: TlsLog | undefined
  readonly #clock: () => number
  /** Which server knew an agent last; the oldest entry is first. */
  readonly #knows = new Map<string, Entry<S>>()

  /**
   * @param servers At least one, in the order they are asked.
   * @param options Log and clock.
   */
  constructor(servers: readonly S[], options: ServerListOptions = {}) {
    this.#entries = servers.map((server) => ({ server, failures: 0, downUntil: 0, code: undefined }))
    this.#log = options.log
    this.#clock = options.clock ?? Date.now
  }

  /** The servers in configured order. */
  get servers(): readonly S[] {
    return this.#entries.map(({ server }) => server)
  }

  /** How each server does. */
  get health(): readonly ServerHealth[] {
    return this.#entries.map(({ server, failures, code }) => ({
      name: server.name,
      isUp: failures === 0,
      failures,
      ...(code !== undefined && { code }),
    }))
  }

  /**
   * Asks the servers until one answers.
   *
   * "Unknown" from one server is no verdict: the others are asked too, and while one of them cannot be asked, the
   * answer is that failure and not "unknown". A refused connection costs no time, a server that hangs costs its request
   * timeout once, and is asked last for {@link DOWN_MS} after.
   *
   * @param key What stickiness goes by: the agent ID.
   * @param call Asks one server.
   * @param signal Ends the whole; no further server is asked.
   * @returns What the first server that answered said.
   * @throws {KeylimeError} `KEYLIME_CANCELLED` at once; with one server its own error; with several
   *   `KEYLIME_AGENT_UNKNOWN` when all say so, and otherwise the code of the first that failed, with a message naming each.
   */
  async ask<R>(key: string, call: (server: S) => Promise<R>, signal?: AbortSignal): Promise<R> {
    const failures: KeylimeError[] = []
    for (const entry of this.#orderFor(key)) {
      try {
        const result = await call(entry.server)
        this.#markUp(entry)
        this.#remember(key, entry)
        return result
      } catch (error) {
        if (!(error instanceof KeylimeError) || isKeylimeError(error, 'KEYLIME_CANCELLED')) throw error
        if (isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) this.#markUp(entry)
        else this.#markDown(entry, error)
        failures.push(error)
        if (signal?.aborted === true) break
      }
    }
    throw this.#summary(failures)
  }

  #orderFor(key: string): readonly Entry<S>[] {
    const now = this.#clock()
    const known = this.#knows.get(key)
    const isUp = (entry: Entry<S>): boolean => entry.downUntil <= now
    const rank = (entry: Entry<S>): number => (isUp(entry) ? 0 : 2) + (entry === known ? 0 : 1)
    return this.#entries.toSorted((one, other) => rank(one) - rank(other))
  }

  #remember(key: string, entry: Entry<S>): void {
    if (this.#entries.length === 1) return
    this.#knows.delete(key)
    this.#knows.set(key, entry)
    const [oldest] = this.#knows.keys()
    if (this.#knows.size > MAX_REMEMBERED && oldest !== undefined) this.#knows.delete(oldest)
  }

  #markUp(entry: Entry<S>): void {
    if (entry.failures > 0) {
      this.#log?.info('Keylime service answers again', { service: entry.server.name, failures: entry.failures })
    }
    entry.failures = 0
    entry.downUntil = 0
    entry.code = undefined
  }

  #markDown(entry: Entry<S>, error: KeylimeError): void {
    if (entry.failures === 0 || entry.code !== error.code) {
      this.#log?.warn('Keylime service fails', {
        service: entry.server.name,
        code: error.code,
        error: error.message,
        ...error.facts,
      })
    }
    entry.failures += 1
    entry.downUntil = this.#clock() + DOWN_MS
    entry.code = error.code
  }

  #summary(failures: readonly KeylimeError[]): KeylimeError {
    const [only, second] = failures
    if (only === undefined) return new KeylimeError('KEYLIME_UNREACHABLE', 'no keylime service is configured')
    if (second === undefined) return only
    const chosen = failures.find(({ code }) => code !== 'KEYLIME_AGENT_UNKNOWN') ?? only
    return new KeylimeError(chosen.code, failures.map(({ message }) => message).join('; and '), {
      cause: new AggregateError(failures),
      facts: { ...chosen.facts, servers_asked: failures.length },
    })
  }
}
