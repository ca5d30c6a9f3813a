/**
 * TypeScript files and what they import, read as text: for the tests of who may import whom.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Lists the TypeScript files of a folder and of the folders in it.
 *
 * @param folder Absolute path.
 * @returns Absolute paths.
 */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

/**
 * Lists what a file imports or exports from elsewhere.
 *
 * @param path Absolute path.
 */
export function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  const found = [
    ...text.matchAll(/^(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?['"]([^'"]+)['"]/gm),
    ...text.matchAll(/\bimport\('([^']+)'\)/g),
  ]
  return found.map(([, specifier = '']) => specifier)
}
