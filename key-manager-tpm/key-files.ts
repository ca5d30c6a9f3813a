/**
 * Wrapped keys in files, one a key.
 *
 * @module
 */
import { open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyTypeName } from '@tower-of-omens/spire-sdk'
import { KEY_TYPES } from '@tower-of-omens/spire-sdk'
import type { WrappedKey } from '@tower-of-omens/tpm/commands'

/** A key as its file has it. */
export interface StoredKey {
  readonly id: string
  readonly type: KeyTypeName
  readonly wrapped: WrappedKey
}

const SUFFIX = '.tpmkey'

/**
 * Writes a key, in place of the one that had its id.
 *
 * @param directory Where to.
 * @param key The key.
 * @throws {Error} The file cannot be written; the old one stays then.
 */
export async function writeKey(directory: string, { id, type, wrapped }: StoredKey): Promise<void> {
  // Ids may hold any character, names of files may not.
  const file = join(directory, `${Buffer.from(id).toString('base64url')}${SUFFIX}`)
  const areas = { public: wrapped.publicArea.toString('base64'), private: wrapped.privateArea.toString('base64') }
  const text = JSON.stringify({ id, type, ...areas })
  const handle = await open(`${file}.new`, 'w', 0o600)
  try {
    await handle.writeFile(`${text}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.new`, file)
}

/** What a folder holds. */
export interface StoredKeys {
  readonly keys: readonly StoredKey[]
  /** Files that hold no key. */
  readonly broken: readonly string[]
}

/**
 * Reads every key of a folder.
 *
 * @param directory The folder.
 * @returns Keys by name of file, and what could not be read.
 */
export async function readKeys(directory: string): Promise<StoredKeys> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(SUFFIX)).toSorted()
  const read = await Promise.all(names.map(async (name) => ({ name, key: await readKey(join(directory, name)) })))
  return {
    keys: read.flatMap(({ key }) => (key === undefined ? [] : [key])),
    broken: read.filter(({ key }) => key === undefined).map(({ name }) => name),
  }
}

async function readKey(file: string): Promise<StoredKey | undefined> {
  try {
    return parseKey(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

/**
 * Parses the text of a key's file.
 *
 * @param text JSON.
 * @returns The key; `undefined` when it is none.
 */
export function parseKey(text: string): StoredKey | undefined {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { id, type, public: publicArea, private: privateArea }: Readonly<Record<string, unknown>> = { ...value }
  if (typeof id !== 'string' || !isKeyType(type)) return undefined
  if (typeof publicArea !== 'string' || typeof privateArea !== 'string') return undefined
  const wrapped = { publicArea: Buffer.from(publicArea, 'base64'), privateArea: Buffer.from(privateArea, 'base64') }
  return { id, type, wrapped }
}

function isKeyType(type: unknown): type is KeyTypeName {
  return typeof type === 'string' && type in KEY_TYPES
}
