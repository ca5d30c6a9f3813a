/**
 * Telling what the daemon decides and does: log, audit log, the operator's program.
 *
 * @module
 */
import type { AgentId, Log } from '@tower-of-omens/keylime'
import { AuditLog } from './audit.ts'
import { notifyOperator } from './notify.ts'

/** Facts of one event; names in snake case. */
export type EventFacts = Readonly<Record<string, string>>

/** The words of a watch: to its log, its audit and its events. */
export class Telling {
  readonly #log: Log
  readonly #audit: AuditLog
  readonly #prefix: string
  readonly #command: () => readonly string[]
  readonly #waiting: EventFacts[] = []

  /**
   * @param log The daemon's log.
   * @param auditFile Where each decision is written down.
   * @param prefix Beginning of the agents' SPIFFE IDs.
   * @param command The operator's program, which may change.
   */
  constructor(log: Log, auditFile: string, prefix: string, command: () => readonly string[]) {
    this.#log = log
    this.#prefix = prefix
    this.#command = command
    this.#audit = new AuditLog(auditFile, (message) => log.error('the audit log fails', { error: message }))
  }

  /**
   * Notes an event about one host.
   *
   * @param event Such as `decided`.
   * @param agentId Which host.
   * @param facts What is particular to it.
   */
  host(event: string, agentId: AgentId, facts: EventFacts): void {
    this.#audit.write({ event, agent_id: agentId, spiffe_id: `${this.#prefix}${agentId}`, ...facts })
    this.#tell(event, { agent_id: agentId, ...facts })
  }

  /**
   * Notes an event about the whole.
   *
   * @param event Such as `brake_on`.
   * @param facts What is particular to it.
   */
  whole(event: string, facts: EventFacts): void {
    this.#audit.write({ event, ...facts })
    this.#tell(event, facts)
  }

  // A program takes milliseconds to start, and nothing else happens meanwhile: what is under way goes first, and of many
  // programs each waits for its turn.
  #tell(event: string, facts: EventFacts): void {
    this.#waiting.push({ event, ...facts })
    if (this.#waiting.length === 1) setImmediate(() => this.#startNext())
  }

  #startNext(): void {
    const [next] = this.#waiting
    if (next === undefined) return
    notifyOperator(this.#command(), next, this.#log)
    this.#waiting.shift()
    if (this.#waiting.length > 0) setImmediate(() => this.#startNext())
  }
}
