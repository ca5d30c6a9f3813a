/**
 * Files written into a folder, and the folder as it was before.
 *
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Step } from '../plan/step.ts'

/**
 * Plans to write files.
 *
 * @param folder Where; it may hold other files, which nothing touches.
 * @param files Path within the folder to content.
 * @param title What the step is called.
 * @returns The step: nothing to do where all are there; taken back, every file is what it was.
 */
export function emitStep(folder: string, files: ReadonlyMap<string, string>, title: string): Step {
  /** What each file held before; undefined: it was not there. */
  const before = new Map<string, Buffer | undefined>()
  /** The uppermost folders that were made. */
  const made: string[] = []
  return {
    id: 'emit',
    title,
    isDone: () =>
      Promise.resolve([...files].every(([path, text]) => contentOf(join(folder, path))?.toString() === text)),
    act: () => {
      for (const [path, text] of files) {
        const file = join(folder, path)
        const top = mkdirSync(dirname(file), { recursive: true })
        if (top !== undefined) made.push(top)
        before.set(file, contentOf(file))
        writeFileSync(file, text, { mode: 0o644 })
      }
      return Promise.resolve({ files: files.size })
    },
    undo: () => {
      for (const [file, content] of before) {
        if (content === undefined) rmSync(file, { force: true })
        else writeFileSync(file, content)
      }
      for (const top of made.toReversed()) rmSync(top, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}

function contentOf(file: string): Buffer | undefined {
  return existsSync(file) ? readFileSync(file) : undefined
}
