import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Docstring, docstringsIn, docstringsOf } from './docstrings.ts'
import { filesOf } from './source-files.ts'

const root = resolve(import.meta.dirname, '..')

/** Verbs that no noun phrase begins with; words that are a plural as well are left to the reader. */
const VERBS: ReadonlySet<string> = new Set(
  (
    'Adds Are Asks Begins Binds Bounds Builds Carries Chooses Collects Compares Computes Decides Decodes Describes ' +
    'Does Drives Encodes Explains Finds Follows Gathers Gives Has Holds Is Judges Keeps Leaves Lets Makes Means Moves ' +
    'Opens Parses Proves Reads Refuses Remembers Removes Runs Says Sends Serves Speaks Starts Stops Takes Tells Turns ' +
    'Waits Watches Wraps Writes'
  ).split(' '),
)

function isWrong({ begins, word }: Docstring): boolean {
  if (word === '' || begins === 'free') return false
  return begins === 'noun' ? VERBS.has(word) : !/^[A-Z][a-z]+s$/.test(word)
}

describe('docstringsIn', () => {
  it('tells by what follows whether a verb or a noun begins a docstring', () => {
    const text = [
      '/**',
      ' * Counts of things.',
      ' *',
      ' * @module',
      ' */',
      '/** Is a thing. */',
      'export interface Thing {',
      '  /** Its name. */',
      '  readonly name: string',
      '}',
      '/** Bound of things. */',
      'const MOST = 3',
      '/**',
      ' * Makes a thing.',
      ' */',
      'export async function newThing(): Promise<Thing> {}',
      'class Maker {',
      '  /** @param thing It. */',
      '  constructor(thing: Thing) {',
      '  /** Things made. */',
      '  get things(): number {',
      '  /** Of things the last. */',
      '  #last(): Thing {',
    ].join('\n')
    expect(docstringsIn(text).map(({ line, begins, word }) => `${line} ${begins} ${word}`)).toEqual([
      '1 noun Counts',
      '6 noun Is',
      '8 free Its',
      '11 noun Bound',
      '13 verb Makes',
      '18 verb ',
      '20 free Things',
      '22 verb Of',
    ])
    expect(
      docstringsIn(text)
        .filter(isWrong)
        .map(({ line }) => line),
    ).toEqual([6, 22])
  })
})

describe('every docstring of the product', () => {
  it('begins with a verb before a function, and with a noun before a type, a constant and a module', () => {
    const files = ['plugins', 'server-attestor', 'agent-attestor', 'operator']
      .flatMap((folder) => filesOf(join(root, folder)))
      .filter((path) => !/\/(gen|node_modules)\//.test(path))
    const wrong = files.flatMap((path) =>
      docstringsOf(path)
        .filter(isWrong)
        .map(({ line, word }) => `${relative(root, path)}:${line} begins with "${word}"`),
    )
    expect(wrong).toEqual([])
  })
})
