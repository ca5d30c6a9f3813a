/**
 * What is done with each bundle, in order: files, OpenBao, the command. One that fails does not stop the others.
 *
 * @module
 */
import { type Bundle, type BundleFormat, type Logger, RpcError } from '@tower-of-omens/spire-sdk'
import { writeBundleFiles } from './bundle-files.ts'
import { type OpenBaoSettings, setJwtKeys } from './openbao.ts'
import { runReload } from './reload.ts'

/** Everything a keeper is told. */
export interface KeeperSettings {
  readonly folder: string | undefined
  readonly formats: readonly BundleFormat[]
  /** Program and arguments; empty for none. */
  readonly reload: readonly string[]
  readonly openBao: OpenBaoSettings | undefined
  readonly timeoutMs: number
}

/** The one that keeps files and OpenBao as the bundle is. */
export class Keeper {
  readonly #settings: KeeperSettings
  /** Whether files have changed since the command last succeeded; at first nobody knows. */
  #reloadDue = true
  #queue: Promise<unknown> = Promise.resolve()

  /**
   * @param settings Checked.
   */
  constructor(settings: KeeperSettings) {
    this.#settings = settings
  }

  /**
   * Publishes one bundle, after those before it.
   *
   * @param bundle As SPIRE has it now.
   * @param log Told what was changed.
   * @param signal Aborts what goes over the network.
   * @throws {RpcError} `UNAVAILABLE`: something failed; the message names each part. SPIRE logs it and tries again.
   */
  async publish(bundle: Bundle, log: Logger, signal: AbortSignal): Promise<void> {
    const turn = this.#queue.then(() => this.#publish(bundle, log, signal))
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  async #publish(bundle: Bundle, log: Logger, signal: AbortSignal): Promise<void> {
    const failures = [
      await failureOf('files', () => this.#writeFiles(bundle, log)),
      await failureOf('OpenBao', () => this.#setKeys(bundle, log, signal)),
      await failureOf('reload command', () => this.#reload(log)),
    ].filter((failure) => failure !== undefined)
    if (failures.length > 0) throw new RpcError('UNAVAILABLE', failures.join('; '))
  }

  async #writeFiles(bundle: Bundle, log: Logger): Promise<void> {
    const { folder, formats } = this.#settings
    if (folder === undefined) return
    const changed = await writeBundleFiles(bundle, folder, formats)
    if (changed.length === 0) return
    this.#reloadDue = true
    log.info('Bundle files replaced', { files: changed.join(', '), sequence_number: Number(bundle.sequenceNumber) })
  }

  async #setKeys(bundle: Bundle, log: Logger, signal: AbortSignal): Promise<void> {
    const { openBao } = this.#settings
    if (openBao === undefined) return
    const keys = await setJwtKeys(bundle, openBao, signal)
    if (keys === undefined) return
    log.info('Keys of the JWT auth method replaced', { path: `auth/${openBao.authPath}`, keys: keys.join(', ') })
  }

  async #reload(log: Logger): Promise<void> {
    const { reload, timeoutMs } = this.#settings
    if (reload.length === 0 || !this.#reloadDue) return
    await runReload(reload, timeoutMs)
    this.#reloadDue = false
    log.info('Reload command run', { command: reload.join(' ') })
  }
}

async function failureOf(what: string, run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    return `${what}: ${error instanceof Error ? error.message : String(error)}`
  }
}
