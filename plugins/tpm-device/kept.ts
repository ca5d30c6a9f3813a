/**
 * Something loaded in a TPM that is kept from use to use, and made anew once when the TPM has lost it.
 *
 * @module
 */
import { TpmResponseError } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from './device-error.ts'

/** What {@link Kept} keeps: anything that is closed at last. */
export interface Closable {
  close(): Promise<void>
}

/** One thing kept open: opened at the first use, and again after a suspend or a restart of the TPM. */
export class Kept<Opened extends Closable> {
  readonly #open: () => Promise<Opened>
  #current: Promise<Opened> | undefined

  /** @param open Opens the TPM and loads what is wanted. */
  constructor(open: () => Promise<Opened>) {
    this.#open = open
  }

  /**
   * Uses what is kept.
   *
   * @param work Its use; run a second time, on what was opened anew, when the TPM no longer knew the first.
   * @returns What `work` returns.
   * @throws Whatever opening or `work` throws.
   */
  async use<Result>(work: (opened: Opened) => Promise<Result>): Promise<Result> {
    const current = this.#get()
    try {
      return await work(await current)
    } catch (error) {
      if (!isLost(error)) throw error
      await this.#drop(current)
      return await work(await this.#get())
    }
  }

  /** Forgets what is kept, so that the next use opens it anew. */
  async close(): Promise<void> {
    if (this.#current !== undefined) await this.#drop(this.#current)
  }

  // Several uses share one opening; one that failed is not kept.
  #get(): Promise<Opened> {
    if (this.#current !== undefined) return this.#current
    const opening = this.#open()
    this.#current = opening
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined
    })
    return opening
  }

  async #drop(opened: Promise<Opened>): Promise<void> {
    if (this.#current === opened) this.#current = undefined
    try {
      await (await opened).close()
    } catch {
      // It is being given up because it no longer works; that it does not close well says nothing new.
    }
  }
}

/**
 * Tells whether an error means that what was loaded is gone.
 *
 * @param error Anything thrown.
 * @returns True for a lost or closed connection, and for a handle that the TPM does not know.
 */
export function isLost(error: unknown): boolean {
  if (error instanceof TpmDeviceError) return error.code === 'TPM_LOST' || error.code === 'TPM_CLOSED'
  return error instanceof TpmResponseError && (error.responseName === 'HANDLE' || error.responseName === 'REFERENCE')
}
