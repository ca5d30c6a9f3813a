/**
 * One open TPM: commands one after the other, sent again when the TPM asks for it, never waited for without end.
 *
 * @module
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type ResponseCodeName, responseCodeName, responseCodeOf, type TpmCommand } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from './device-error.ts'
import { openTpm, type TpmPath } from './open-tpm.ts'
import type { Transport } from './transport.ts'

/** Where a TPM is and how long it may take. */
export interface TpmOptions extends TpmPath {
  /** Limit of one command, in milliseconds; hardware takes a second or more to make a key. */
  readonly timeoutMs: number
  /** Waits between repetitions; default a timer. */
  readonly pause?: (ms: number) => Promise<unknown>
}

// "Not started, send it again": the kernel repeats these for /dev/tpm*, a bare TPM leaves it to its user.
const REPEATED: ReadonlySet<ResponseCodeName | undefined> = new Set(['RETRY', 'TESTING', 'YIELDED'])
const MAX_REPEATING_MS = 4_000

/** One open TPM, and its commands. */
export class Tpm {
  readonly #transport: Transport
  readonly #timeoutMs: number
  readonly #pause: (ms: number) => Promise<unknown>
  #last: Promise<unknown> = Promise.resolve()
  #lastWork: Promise<unknown> = Promise.resolve()
  #stuck = false
  #closed = false

  /**
   * @param transport An open way, owned from now on.
   * @param options Limit of one command, in milliseconds, and the waiting between repetitions.
   */
  constructor(transport: Transport, options: Pick<TpmOptions, 'timeoutMs' | 'pause'>) {
    this.#transport = transport
    this.#timeoutMs = options.timeoutMs
    this.#pause = options.pause ?? delay
  }

  /**
   * Opens a TPM.
   *
   * @param options Where it is and how long it may take.
   * @returns The open TPM.
   * @throws {TpmDeviceError} As {@link openTpm}.
   */
  static async open(options: TpmOptions): Promise<Tpm> {
    return new Tpm(await openTpm(options), options)
  }

  /** The path, for messages. */
  get path(): string {
    return this.#transport.path
  }

  /**
   * Runs a command after those before it.
   *
   * @param command Any command.
   * @returns What its response says.
   * @throws {TpmResponseError} The TPM refused it. @throws {TpmError} Its response does not parse.
   * @throws {TpmDeviceError} `TPM_HUNG`: no answer within the limit, or an earlier command has none yet. `TPM_LOST`,
   *   `TPM_BROKEN`, `TPM_CLOSED`.
   */
  run<Answer>(command: TpmCommand<Answer>): Promise<Answer> {
    const answer = this.#last.then(() => this.#runNow(command))
    this.#last = answer.catch(() => undefined)
    return answer
  }

  /**
   * Does work of several commands after other such work: a TPM has few places for sessions, so they are not to pile up.
   *
   * @param work Runs its commands.
   * @returns What `work` returns.
   */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#lastWork.then(work)
    this.#lastWork = result.catch(() => undefined)
    return result
  }

  /** Closes the TPM once the command under way is answered; one that hangs is not waited for. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
    const closing = this.#transport.close()
    // A hung command keeps its file open until the kernel gives up on it.
    if (this.#stuck) void closing.catch(() => undefined)
    else await closing
  }

  async #runNow<Answer>(command: TpmCommand<Answer>): Promise<Answer> {
    for (let waited = 0, pause = 1; ; pause *= 2) {
      if (this.#closed) throw new TpmDeviceError('TPM_CLOSED', `tpm ${this.path} is closed`)
      const response = await this.#exchange(command)
      const code = responseCodeOf(response)
      if (code === 0 || !REPEATED.has(responseCodeName(code)) || waited + pause > MAX_REPEATING_MS) {
        return command.parse(response)
      }
      await this.#pause(pause)
      waited += pause
    }
  }

  async #exchange({ name, bytes }: TpmCommand<unknown>): Promise<Buffer> {
    if (this.#stuck) throw this.#hung(name)
    const answer = this.#transport.exchange(bytes)
    const limit = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      this.#stuck = true
      const unstick = (): void => {
        this.#stuck = false
      }
      answer.then(unstick, unstick)
      limit.reject(this.#hung(name))
    }, this.#timeoutMs)
    try {
      return await Promise.race([answer, limit.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  #hung(name: string): TpmDeviceError {
    return new TpmDeviceError(
      'TPM_HUNG',
      `tpm ${this.path} has not answered ${name} within ${this.#timeoutMs} ms: see dmesg, and who else keeps it busy (fuser ${this.path})`,
    )
  }
}
