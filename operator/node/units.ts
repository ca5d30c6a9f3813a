/**
 * systemd's unit files of this machine, as they are written: with drop-ins, without asking systemd.
 *
 * @see systemd.unit(5)
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One unit. */
export interface Unit {
  readonly name: string
  /** The file and its drop-ins. */
  readonly files: readonly string[]
  /** @param key Such as `After`. @returns Every value that is set, in order; an empty one resets, as in systemd. */
  values(section: string, key: string): readonly string[]
  /** Its whole text. */
  readonly text: string
}

/** All units, and the folders' other files that matter at boot. */
export interface UnitFiles {
  readonly units: ReadonlyMap<string, Unit>
  /** Text of every `tmpfiles.d` file. */
  readonly tmpfiles: string
}

const FOLDERS = ['/usr/lib/systemd/system', '/lib/systemd/system', '/etc/systemd/system', '/run/systemd/system']
const TMPFILES = ['/usr/lib/tmpfiles.d', '/etc/tmpfiles.d', '/run/tmpfiles.d']
const KINDS = /\.(service|timer|socket|target|path)$/

/**
 * Reads the units.
 *
 * @param root Prefix of every path; empty outside tests.
 * @returns Units by name; a later folder wins, as in systemd.
 */
export function readUnits(root = ''): UnitFiles {
  const units = new Map<string, Unit>()
  const main = new Map<string, string>()
  const dropIns = new Map<string, string[]>()
  for (const folder of FOLDERS.map((path) => join(root, path))) {
    for (const name of namesIn(folder)) {
      if (KINDS.test(name)) main.set(name, join(folder, name))
      else if (name.endsWith('.d') && KINDS.test(name.slice(0, -2))) {
        const files = namesIn(join(folder, name)).filter((file) => file.endsWith('.conf'))
        const unit = name.slice(0, -2)
        dropIns.set(unit, [...(dropIns.get(unit) ?? []), ...files.map((file) => join(folder, name, file))])
      }
    }
  }
  for (const [name, file] of main) units.set(name, unitOf(name, [file, ...(dropIns.get(name) ?? [])]))
  const tmpfiles = TMPFILES.map((path) => join(root, path))
    .flatMap((folder) => namesIn(folder).map((name) => textOf(join(folder, name))))
    .join('\n')
  return { units, tmpfiles }
}

function unitOf(name: string, files: readonly string[]): Unit {
  const text = files.map(textOf).join('\n')
  const settings = settingsIn(text)
  return {
    name,
    files,
    text,
    values: (section, key) => {
      const values: string[] = []
      for (const setting of settings) {
        if (setting.section !== section || setting.key !== key) continue
        if (setting.value === '') values.length = 0
        else values.push(setting.value)
      }
      return values
    },
  }
}

interface Setting {
  readonly section: string
  readonly key: string
  readonly value: string
}

function settingsIn(text: string): readonly Setting[] {
  let section = ''
  return text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .flatMap((line): readonly Setting[] => {
      const header = /^\[(.+)\]\s*$/.exec(line.trim())
      if (header !== null) section = header[1] ?? ''
      const setting = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line)
      return setting === null ? [] : [{ section, key: setting[1] ?? '', value: setting[2] ?? '' }]
    })
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted()
  } catch {
    return []
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
