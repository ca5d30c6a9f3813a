/**
 * The configuration of the Rust Keylime agent: TOML, with snippets and environment on top.
 *
 * @see keylime/rust-keylime 3a4d5654, keylime/src/config/base.rs
 * @module
 */
import { join } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { readIfThere, type SiteProblem, snippetsIn } from './files.ts'
import type { Sourced } from './sourced.ts'

/** An agent's configuration. */
export interface KeylimeAgentConf {
  /** Files in force, the base first. */
  readonly files: readonly string[]
  readonly problems: readonly SiteProblem[]
  /**
   * Looks a value of `[agent]` up.
   * @param key Its key.
   */
  text(key: string): Sourced<string> | undefined
  /** Every key of every file. */
  keys(): readonly { readonly key: string; readonly from: string }[]
}

/**
 * Reads an agent's configuration.
 *
 * @param environment `KEYLIME_*` variables of its process.
 * @param root Prefix of every path; empty outside tests.
 * @returns The configuration; undefined when there is no file.
 */
export function readKeylimeAgentConf(
  environment: Readonly<Record<string, string>>,
  root: string,
): KeylimeAgentConf | undefined {
  const named = environment['KEYLIME_AGENT_CONFIG']
  const bases = named === undefined ? ['/etc/keylime/agent.conf', '/usr/etc/keylime/agent.conf'] : [named]
  const base = bases.map((file) => join(root, file)).find((file) => readIfThere(file) !== undefined)
  if (base === undefined) return undefined
  const snippets = named === undefined ? snippetsIn(join(root, '/etc/keylime/agent.conf.d')) : []
  const problems: SiteProblem[] = []
  const read = [base, ...snippets].flatMap((file) => {
    const values = agentValues(file)
    if (values instanceof Map) return [[file, values] as const]
    problems.push(values)
    return []
  })
  return {
    files: read.map(([file]) => file),
    problems,
    keys: () => read.flatMap(([file, values]) => [...values.keys()].map((key) => ({ key, from: file }))),
    text: (key) => {
      const name = `KEYLIME_AGENT_${key.toUpperCase()}`
      const variable = environment[name]
      if (variable !== undefined) return { value: variable, from: `environment ${name}` }
      const found = read.findLast(([, values]) => values.has(key))
      return found === undefined ? undefined : { value: found[1].get(key) ?? '', from: found[0] }
    },
  }
}

function agentValues(file: string): Map<string, string> | SiteProblem {
  const read = readIfThere(file)
  if (read === undefined) return { file, message: 'is gone', isForbidden: false }
  if ('problem' in read) return read.problem
  try {
    const { agent } = parse(read.text)
    if (typeof agent !== 'object' || agent === null || Array.isArray(agent)) return new Map()
    return new Map(Object.entries(agent).map(([key, value]) => [key, wordOf(value)]))
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const message = error.message.split('\n')[0] ?? 'is not TOML'
    return { file, at: `${error.line}:${error.column}`, message, isForbidden: false }
  }
}

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
