/**
 * What the provider looks after: a folder of pages, one file each.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from './values.ts'

/** A folder of pages. */
export class PageFolder {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true })
  }

  /** Reads a page as it is now; null when it is gone. */
  read(id: string): Page | null {
    const file = join(this.#folder, id)
    if (!existsSync(file)) return null
    const text = readFileSync(file, 'utf8')
    return { id, text, sha256: createHash('sha256').update(text).digest('hex') }
  }

  /** Writes a page and reads it back. */
  write(id: string, text: string): Page | null {
    writeFileSync(join(this.#folder, id), text)
    return this.read(id)
  }

  remove(id: string): void {
    rmSync(join(this.#folder, id), { force: true })
  }
}
