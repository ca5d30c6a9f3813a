/**
 * The configuration of Keylime's services as they read it themselves: environment, base file, snippets.
 *
 * @see keylime 9b1f6e6a, keylime/config.py, `get_config`
 * @module
 */
import { join } from 'node:path'
import { readIfThere, type SiteProblem, snippetsIn } from './files.ts'
import { IniError, type IniFile, iniValue, parseIni } from './ini.ts'
import type { Sourced } from './sourced.ts'

/** Components with an INI file. */
export type KeylimeComponent = 'verifier' | 'registrar' | 'tenant'

/** One component's configuration. */
export class KeylimeConf {
  readonly component: KeylimeComponent
  /** Files in force, the base first; later ones win. */
  readonly files: readonly string[]
  readonly problems: readonly SiteProblem[]
  readonly #read: readonly (readonly [string, IniFile])[]
  readonly #environment: Readonly<Record<string, string>>

  /**
   * @param component Whose.
   * @param read Files with what they say, the base first.
   * @param environment Its `KEYLIME_*` variables, which win over files.
   * @param problems Files that Python refuses.
   */
  constructor(
    component: KeylimeComponent,
    read: readonly (readonly [string, IniFile])[],
    environment: Readonly<Record<string, string>>,
    problems: readonly SiteProblem[],
  ) {
    this.component = component
    this.files = read.map(([file]) => file)
    this.problems = problems
    this.#read = read
    this.#environment = environment
  }

  /**
   * Looks a value up.
   *
   * @param key Its key, in lower case.
   * @param section Its section; default: the component's own.
   * @returns The text in force, without quotes around it.
   */
  text(key: string, section: string = this.component): Sourced<string> | undefined {
    const own = section === this.component ? '' : `_${section.toUpperCase()}`
    const name = `KEYLIME_${this.component.toUpperCase()}${own}_${key.toUpperCase()}`
    const variable = this.#environment[name]
    if (variable !== undefined) return { value: bare(variable), from: `environment ${name}` }
    for (const [file, ini] of this.#read.toReversed()) {
      const value = iniValue(ini, section, key)
      if (value !== undefined) return { value: bare(value.text), from: `${file}:${value.line}` }
    }
    return undefined
  }

  /**
   * Looks a list up.
   *
   * @param key Its key.
   * @param section Its section.
   * @returns The items of `["a", 'b']`; undefined when it is not written as a list.
   */
  list(key: string, section: string = this.component): Sourced<readonly string[]> | undefined {
    const found = this.text(key, section)
    const items = found === undefined ? undefined : listItems(found.value)
    return found === undefined || items === undefined ? undefined : { value: items, from: found.from }
  }

  /** Keylime's folder: relative and default names lie in it. */
  get home(): string {
    return this.#environment['KEYLIME_DIR'] ?? '/var/lib/keylime'
  }

  /**
   * Lists every key of every file.
   *
   * @returns Section, key in lower case and place of each.
   */
  keys(): readonly { readonly section: string; readonly key: string; readonly from: string }[] {
    return this.#read.flatMap(([file, { sections }]) =>
      [...sections].flatMap(([section, values]) =>
        [...values].map(([key, { line }]) => ({ section, key, from: `${file}:${line}` })),
      ),
    )
  }
}

/** Where a component's files are looked for. */
export interface KeylimeConfPlace {
  /** `KEYLIME_*` variables of its process, or of ours. */
  readonly environment: Readonly<Record<string, string>>
  /** Prefix of every path; empty outside tests. */
  readonly root: string
}

/**
 * Reads a component's configuration.
 *
 * @param component Whose.
 * @param place Where.
 * @returns The configuration; undefined when it has no file.
 */
export function readKeylimeConf(component: KeylimeComponent, place: KeylimeConfPlace): KeylimeConf | undefined {
  const { environment, root } = place
  const named = environment[`KEYLIME_${component.toUpperCase()}_CONFIG`]
  const bases = [`/etc/keylime/${component}.conf`, `/usr/etc/keylime/${component}.conf`]
  const candidates = named === undefined ? bases : [named, ...bases]
  const base = candidates.map((file) => join(root, file)).find((file) => readIfThere(file) !== undefined)
  if (base === undefined) return undefined
  const snippets =
    named !== undefined && base === join(root, named)
      ? []
      : ['/usr/etc/keylime', '/etc/keylime'].flatMap((folder) => snippetsIn(join(root, folder, `${component}.conf.d`)))
  const problems: SiteProblem[] = []
  const read = [base, ...snippets].flatMap((file) => {
    const ini = readIni(file)
    if ('sections' in ini) return [[file, ini] as const]
    problems.push(ini)
    return []
  })
  return new KeylimeConf(component, read, environment, problems)
}

function readIni(file: string): IniFile | SiteProblem {
  const read = readIfThere(file)
  if (read === undefined) return { file, message: 'is gone', isForbidden: false }
  if ('problem' in read) return read.problem
  try {
    return parseIni(read.text)
  } catch (error) {
    if (!(error instanceof IniError)) throw error
    return { file, at: String(error.line), message: error.message, isForbidden: false }
  }
}

// Keylime strips quotes around a value.
function bare(text: string): string {
  return text.trim().replace(/^(["'])(.*)\1$/s, '$2')
}

// Python takes the text for a literal: strings in either quote, with or without a comma at the end.
function listItems(text: string): readonly string[] | undefined {
  const inner = /^\[(.*)\]$/s.exec(text.trim())?.[1]
  if (inner === undefined) return undefined
  const items = [...inner.matchAll(/"([^"]*)"|'([^']*)'/g)].map(([, double, single]) => double ?? single ?? '')
  return inner.replace(/"[^"]*"|'[^']*'|[\s,]/g, '') === '' ? items : undefined
}
