/**
 * The one resource of the provider: what is planned for a page, and done.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { HclogLogger, UnaryCall } from '../../../plugins/go-plugin/index.ts'
import type { ApplyRequest, ApplyResponse, PlanRequest, PlanResponse } from '../gen/opentofu/provider.ts'
import type { PageFolder } from './page-folder.ts'
import { known, pack, UNKNOWN, unpackPage } from './values.ts'

/** Plans and makes pages. */
export class PageResource {
  readonly #folder: PageFolder
  readonly #log: HclogLogger
  readonly #stopping = new AbortController()

  constructor(folder: PageFolder, log: HclogLogger) {
    this.#folder = folder
    this.#log = log
  }

  /** Fails what waits. */
  readonly stop = (): void => this.#stopping.abort()

  /** Keeps what stays as it is, and leaves the rest for the apply to tell. */
  readonly plan = ({ priorState, proposedNewState }: PlanRequest): PlanResponse => {
    const prior = unpackPage(priorState)
    const proposed = unpackPage(proposedNewState)
    if (proposed === null) return { plannedState: pack(null) }
    const sha256 = prior !== null && prior.text === proposed.text ? prior.sha256 : UNKNOWN
    return { plannedState: pack({ ...proposed, id: prior?.id ?? UNKNOWN, sha256 }) }
  }

  /** Does what was planned. */
  readonly apply = async (
    { priorState, plannedState }: ApplyRequest,
    { signal }: UnaryCall,
  ): Promise<ApplyResponse> => {
    const prior = unpackPage(priorState)
    const planned = unpackPage(plannedState)
    const id = prior === null ? randomUUID() : known(prior.id)
    if (planned === null) {
      this.#folder.remove(id)
      return { newState: pack(null) }
    }
    const text = known(planned.text)
    await this.#misbehave(text, signal)
    return { newState: pack(this.#folder.write(id, text)) }
  }

  /** Does what a bad day does to a provider, for texts that ask for it. */
  async #misbehave(text: string, signal: AbortSignal): Promise<void> {
    if (text === 'throw') throw new Error('the page tore')
    if (text === 'kill') process.kill(process.pid, 'SIGKILL')
    if (text !== 'wait') return
    this.#log.info('Waiting to be stopped')
    await new Promise((_, reject) => {
      const stopped = AbortSignal.any([this.#stopping.signal, signal])
      stopped.addEventListener('abort', () => reject(new Error('the page was not written: stopped')))
    })
  }
}
