/**
 * Docstrings of TypeScript files, read as text: for the test of how they begin.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/** One docstring. */
export interface Docstring {
  /** 1 for the first line of the file. */
  readonly line: number
  /** `noun`: of a module, a type, a class, a constant. `verb`: of a function or method. `free`: of anything else. */
  readonly begins: 'noun' | 'verb' | 'free'
  /** Its first word; `''` when it begins with a tag. */
  readonly word: string
}

const FUNCTION = /^\s*(?:export )?(?:declare )?(?:async )?function\b/
const METHOD = /^ {2}(?:static |async |\*)*#?[a-z]\w*(?:<.*>)?\(.*[{,(]\s*$/
const ACCESSOR = /^\s*(?:static )?(?:get|set) #?\w+\(/
const NOUN = /^\s*(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const) /

/**
 * Reads the docstrings of a file.
 *
 * @param path Absolute path.
 * @returns Each, in the order of the file.
 */
export function docstringsOf(path: string): readonly Docstring[] {
  return docstringsIn(readFileSync(path, 'utf8'))
}

/**
 * Reads the docstrings of a text.
 *
 * @param text TypeScript.
 * @returns Each, in order.
 */
export function docstringsIn(text: string): readonly Docstring[] {
  return [...text.matchAll(/^[ \t]*\/\*\*([\s\S]*?)\*\/[ \t]*(?=\n(.*)$)/gm)].map(
    ([, body = '', next = ''], index, all) => {
      const line = text.slice(0, all[index]?.index).split('\n').length
      const words = body.replace(/^[\s*]+/, '')
      const word = words.startsWith('@') ? '' : (/^\S+?(?=[\s,:;.]|$)/.exec(words)?.[0] ?? '')
      return { line, word, begins: /^\s*\*?\s*@module/m.test(body) ? 'noun' : beginningOf(next) }
    },
  )
}

function beginningOf(declaration: string): Docstring['begins'] {
  if (ACCESSOR.test(declaration)) return 'free'
  if (FUNCTION.test(declaration) || METHOD.test(declaration)) return 'verb'
  return NOUN.test(declaration) ? 'noun' : 'free'
}
