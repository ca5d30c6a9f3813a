/**
 * A file that is replaced whole: readers see the old text or the new one, and may read it as before.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Replaces the text of a file that is there.
 *
 * @param file Its path; owner, mode and access lists stay.
 * @param text What it is to hold.
 * @throws {Error} It cannot be written; the old text is still there.
 */
export function replaceFile(file: string, text: string): void {
  const aside = `${file}.new`
  rmSync(aside, { force: true })
  try {
    copyAttributes(file, aside)
    const opened = openSync(aside, 'r+')
    try {
      // Not writeSync, which may write a part of it and say nothing.
      writeFileSync(opened, text)
      fsyncSync(opened)
    } finally {
      closeSync(opened)
    }
    renameSync(aside, file)
  } catch (error) {
    rmSync(aside, { force: true })
    throw error
  }
  syncFolder(dirname(file))
}

/**
 * Makes an empty file with all attributes of another one.
 *
 * @param like The other one.
 * @param path The new one.
 */
export function copyAttributes(like: string, path: string): void {
  // Owner, mode and access lists in one go, before there is anything to read; Node knows no access lists.
  execFileSync('cp', ['--archive', '--dereference', '--attributes-only', '--', like, path])
}

/**
 * Writes a folder's names to disk.
 *
 * @param path The folder.
 */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
