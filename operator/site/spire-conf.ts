/**
 * SPIRE's own configuration files: any key with its line, and the plugin's data as text.
 *
 * @module
 */
import { type HclEntry, HclError, type HclNode, type HclObject, parseHcl } from '@tower-of-omens/spire-sdk/hcl'
import type { SiteProblem } from './files.ts'
import type { Sourced } from './sourced.ts'

/** A configuration of spire-server or spire-agent. */
export class SpireConf {
  readonly file: string
  readonly #root: HclObject

  /**
   * @param file Its path, for places.
   * @param root Its tree.
   */
  constructor(file: string, root: HclObject) {
    this.file = file
    this.#root = root
  }

  /**
   * Looks a value up.
   *
   * @param path Keys and labels from the top, such as `['server', 'socket_path']`.
   * @returns The value as text, whatever its kind; undefined when it is not set or is no single value.
   */
  text(...path: readonly string[]): Sourced<string> | undefined {
    const node = this.node(...path)
    if (node === undefined) return undefined
    const value = scalarText(node)
    return value === undefined ? undefined : { value, from: `${this.file}:${node.line}` }
  }

  /**
   * Looks a node up.
   *
   * @param path Keys and labels from the top.
   * @returns The last one that fits, since SPIRE's decoder lets the last one win.
   */
  node(...path: readonly string[]): HclNode | undefined {
    return nodesAt([this.#root], path).at(-1)
  }

  /**
   * Gathers the plugins of one type.
   *
   * @param type Such as `NodeAttestor`.
   * @returns Their names.
   */
  pluginNames(type: string): readonly string[] {
    const blocks = nodesAt([this.#root], ['plugins', type]).filter((node) => node.kind === 'object')
    return blocks.flatMap(({ entries }) => entries.map(({ key }) => key.text))
  }

  /**
   * Writes a block as JSON, which our own decoder reads as it reads HCL.
   *
   * @param path Keys and labels from the top.
   * @returns The text; undefined when there is no such block.
   */
  blockText(...path: readonly string[]): Sourced<string> | undefined {
    const node = this.node(...path)
    return node?.kind === 'object'
      ? { value: JSON.stringify(plainOf(node)), from: `${this.file}:${node.line}` }
      : undefined
  }
}

/**
 * Parses a configuration of SPIRE.
 *
 * @param file Its path, for places.
 * @param text Its text.
 * @param environment Variables for `${NAME}`, where the process was started with `-expandEnv`.
 * @returns The configuration, or what is wrong with it.
 */
export function parseSpireConf(
  file: string,
  text: string,
  environment?: Readonly<Record<string, string>>,
): SpireConf | SiteProblem {
  try {
    return new SpireConf(file, parseHcl(environment === undefined ? text : expanded(text, environment)))
  } catch (error) {
    if (!(error instanceof HclError)) throw error
    return { file, at: `${error.line}:${error.column}`, message: error.message, isForbidden: false }
  }
}

/**
 * Names the variables that a text would expand.
 *
 * @param text A configuration.
 * @returns Their names.
 */
export function variablesIn(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(VARIABLE)].map(([, braced, bare]) => braced ?? bare ?? ''))
}

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)/g

// As Go's os.ExpandEnv: a variable that is not set becomes empty.
function expanded(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(VARIABLE, (_, braced: string | undefined, bare: string | undefined) => {
    return environment[braced ?? bare ?? ''] ?? ''
  })
}

function nodesAt(nodes: readonly HclNode[], path: readonly string[]): readonly HclNode[] {
  const [first, ...rest] = path
  if (first === undefined) return nodes
  const next = nodes.flatMap((node) =>
    node.kind === 'object' ? node.entries.flatMap((entry) => under(entry, first)) : [],
  )
  return nodesAt(next, rest)
}

// What stands under a key: labels count as keys, `a "b" { }` means `a { b { } }`.
function under(entry: HclEntry, key: string): readonly HclNode[] {
  if (entry.key.text.toLowerCase() !== key.toLowerCase()) return []
  const [label, ...labels] = entry.labels
  if (label === undefined)
    return entry.value.kind === 'list' ? objectsOf(entry.value.items, entry.value) : [entry.value]
  const inner: HclEntry = { ...entry, key: label, labels }
  return [{ kind: 'object', line: label.line, column: label.column, entries: [inner] }]
}

// JSON writes repeated blocks as a list of objects.
function objectsOf(items: readonly HclNode[], list: HclNode): readonly HclNode[] {
  return items.length > 0 && items.every((item) => item.kind === 'object') ? items : [list]
}

function scalarText(node: HclNode): string | undefined {
  switch (node.kind) {
    case 'string':
      return node.value
    case 'number':
      return node.text
    case 'boolean':
      return String(node.value)
    case 'list':
    case 'object':
    default:
      return undefined
  }
}

function plainOf(node: HclNode): unknown {
  switch (node.kind) {
    case 'string':
      return node.value
    case 'number':
      return Number(node.text)
    case 'boolean':
      return node.value
    case 'list':
      return node.items.map(plainOf)
    case 'object':
    default:
      return Object.fromEntries(
        node.entries.map(({ key, labels, value }) => [
          key.text,
          labels.reduceRight<unknown>((inner, label) => ({ [label.text]: inner }), plainOf(value)),
        ]),
      )
  }
}
