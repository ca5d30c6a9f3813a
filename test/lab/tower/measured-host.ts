/**
 * One host's measured side: its TPM, the boot that was measured into it, and its IMA list.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessStarter } from '../processes/processes.ts'
import { Swtpm, type SwtpmOptions } from '../services/swtpm.ts'
import { type BootStory, bootExtends, bootLog, GOOD_BOOT } from './boot-log.ts'
import { listEntry, type Measurement } from './ima-list.ts'

/** Clients' port of the TPM in each host's own network. */
const TPM_PORT = 2321

/** Files that every host has measured when it is enrolled. */
export const GOOD_FILES: readonly Measurement[] = [
  '/usr/bin/sshd',
  '/usr/bin/spire-agent',
  '/usr/bin/keylime_agent',
].map((path) => ({ path, digest: createHash('sha256').update(`content of ${path}`).digest('hex') }))

/** TPM, boot log and IMA list of one host. */
export class MeasuredHost {
  readonly tpm: Swtpm
  readonly bootLogFile: string
  readonly imaListFile: string

  private constructor(tpm: Swtpm, dir: string) {
    this.tpm = tpm
    this.bootLogFile = join(dir, 'boot.bin')
    this.imaListFile = join(dir, 'ima.log')
  }

  /**
   * Manufactures the TPM and boots the host for the first time.
   *
   * @param options Where the TPM's port is, and its EK CA.
   */
  static async start(
    starter: ProcessStarter,
    dir: string,
    options: Pick<SwtpmOptions, 'on' | 'ekCaDir'>,
  ): Promise<MeasuredHost> {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const host = new MeasuredHost(await Swtpm.start(starter, { dir, port: TPM_PORT, ...options }), dir)
    writeFileSync(host.imaListFile, '')
    await host.boot(GOOD_BOOT)
    return host
  }

  /**
   * Measures a boot into the freshly started TPM, and the files that run on every host.
   *
   * @param log What the event log claims; default: the truth.
   */
  async boot(story: BootStory, log: BootStory = story): Promise<void> {
    writeFileSync(this.bootLogFile, bootLog(log))
    // The same file, emptied: the Keylime agent opened it once.
    truncateSync(this.imaListFile)
    await this.#extend(bootExtends(story).map(({ pcr, digest }) => `${pcr}:sha256=${digest}`))
    for (const file of GOOD_FILES) await this.measure(file)
  }

  /**
   * Measures a file as the kernel does when it is run: first the list, then the TPM, within one poll of the verifier.
   */
  async measure(file: Measurement): Promise<void> {
    const { line, extend } = listEntry(file)
    appendFileSync(this.imaListFile, line)
    await this.#extend([`10:sha256=${extend}`])
  }

  async #extend(specs: readonly string[]): Promise<void> {
    await this.tpm.run('tpm2_pcrextend', specs)
  }
}
