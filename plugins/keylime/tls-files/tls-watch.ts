/**
 * TLS material in step with its files: new files count from the next request on, broken ones never.
 *
 * @module
 */

import { type BigIntStats, statSync } from 'node:fs'
import type { Log } from '../basis/log.ts'
import type { TlsFileNames, TlsFiles } from './file-names.ts'
import { loadTlsFiles, type TlsMaterial } from './tls-files.ts'

/** How often the files are looked at when no request does: a broken file should not wait for the next attestation. */
export const DEFAULT_POLL_MS = 5_000

/** How long a look at the files stays good while requests come in quick succession. */
export const LOOK_EVERY_MS = 100

/** How long files may disagree before that is an error: two renames are never one step. */
export const SETTLE_MS = 2_000

/** Source of the material in force. */
export interface TlsSource {
  /** The material in force; looks at the files when the last look is not fresh. Never throws. */
  current(): TlsMaterial
  /** The same after a look at the files, whenever the last one was: for after a TLS failure. */
  recheck(): TlsMaterial
}

/** Options of a watch. */
export interface TlsWatchOptions {
  readonly names?: TlsFileNames
  readonly log?: Pick<Log, 'info' | 'warn' | 'error'>
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
  /** Milliseconds between looks without requests; default 5,000; 0: only requests look. */
  readonly pollMs?: number
}

/** Watch of the files of one {@link TlsMaterial}; closed when its last user is gone. */
export interface TlsWatch extends TlsSource {
  close(): void
}

/**
 * Starts to watch TLS files.
 *
 * The files are compared by device, inode, size and times behind all links, so rewriting, renaming over and switching
 * a link are all seen. The old material stays in force until the new files are whole, fit each other and are valid.
 *
 * @param files Paths, as loaded.
 * @param material What {@link loadTlsFiles} made of them.
 * @param options Names for messages, log, clock.
 * @returns The watch.
 */
export function watchTlsFiles(files: TlsFiles, material: TlsMaterial, options: TlsWatchOptions = {}): TlsWatch {
  const watcher = new FileWatcher(files, material, options)
  const pollMs = options.pollMs ?? DEFAULT_POLL_MS
  const timer = pollMs > 0 ? setInterval(() => watcher.recheck(), pollMs).unref() : undefined
  return {
    current: () => watcher.current(),
    recheck: () => watcher.recheck(),
    close: () => clearInterval(timer),
  }
}

/**
 * Wraps material that never changes.
 *
 * @param material The material.
 * @returns A source that looks at no files.
 */
export function fixedTls(material: TlsMaterial): TlsSource {
  return { current: () => material, recheck: () => material }
}

class FileWatcher implements TlsSource {
  readonly #files: TlsFiles
  readonly #options: TlsWatchOptions
  readonly #clock: () => number
  #material: TlsMaterial
  #seen: string
  #lookedAt: number
  /** A state of the files that could not be used: since when, and whether that was logged. */
  #broken: { readonly stamp: string; readonly since: number; logged: boolean } | undefined

  constructor(files: TlsFiles, material: TlsMaterial, options: TlsWatchOptions) {
    this.#files = files
    this.#options = options
    this.#clock = options.clock ?? Date.now
    this.#material = material
    this.#lookedAt = this.#clock()
    // The files may have changed since they were loaded: an unknown stamp makes the first look read them again.
    this.#seen = ''
  }

  current(): TlsMaterial {
    const now = this.#clock()
    return now >= this.#lookedAt && now - this.#lookedAt < LOOK_EVERY_MS && this.#seen !== ''
      ? this.#material
      : this.recheck()
  }

  recheck(): TlsMaterial {
    this.#lookedAt = this.#clock()
    const stamp = stampOf(this.#files)
    if (stamp !== this.#seen) this.#reload(stamp)
    else this.#broken = undefined
    return this.#material
  }

  #reload(stamp: string): void {
    const now = this.#clock()
    // The stamp was taken before reading, so a change while we read is seen by the next look.
    const { problems, warnings, material } = loadTlsFiles(this.#files, { now, ...this.#naming() })
    if (material === undefined) {
      this.#keepOld(stamp, problems, now)
      return
    }
    const first = this.#seen === ''
    this.#seen = stamp
    this.#broken = undefined
    if (first && sameMaterial(material, this.#material)) return
    this.#material = material
    this.#options.log?.info('TLS files reloaded', factsOf(material))
    for (const warning of warnings) this.#options.log?.warn('TLS files have a weakness', { warning })
  }

  #keepOld(stamp: string, problems: readonly string[], now: number): void {
    // Each further change starts the wait anew; a state that lasts is reported once.
    if (this.#broken?.stamp !== stamp) this.#broken = { stamp, since: now, logged: this.#broken?.logged ?? false }
    if (this.#broken.logged || now - this.#broken.since < SETTLE_MS) return
    this.#broken.logged = true
    this.#options.log?.error('TLS files cannot be used, the ones loaded before stay in force', {
      problems: problems.join('; '),
      ...factsOf(this.#material),
    })
  }

  #naming(): { names?: TlsFileNames } {
    return this.#options.names === undefined ? {} : { names: this.#options.names }
  }
}

function factsOf({ client, caFile }: TlsMaterial): Readonly<Record<string, unknown>> {
  return {
    ...(caFile !== undefined && { ca_file: caFile }),
    ...(client !== undefined && {
      cert_file: client.certFile,
      subject: client.subject,
      issuer: client.issuer,
      not_after: client.notAfter.toISOString(),
    }),
  }
}

function sameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  return fingerprintsOf(one) === fingerprintsOf(other)
}

function fingerprintsOf({ client, anchors }: TlsMaterial): string {
  return [client?.fingerprint256, client?.chainLength, ...anchors.map((anchor) => anchor.fingerprint256)].join()
}

function stampOf(files: TlsFiles): string {
  return [files.caFile, files.certFile, files.keyFile]
    .map((path) => (path === undefined ? '' : statStamp(path)))
    .join('|')
}

function statStamp(path: string): string {
  let stats: BigIntStats
  try {
    stats = statSync(path, { bigint: true })
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  }
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}:${stats.mode}:${stats.uid}:${stats.gid}`
}
