import { describe, expect, it } from 'vitest'
import { beginsWrongly, docstringsIn } from './docstrings.ts'

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
        .filter(beginsWrongly)
        .map(({ line }) => line),
    ).toEqual([6, 22])
  })
})
