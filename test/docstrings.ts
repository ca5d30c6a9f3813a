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

/** Verbs that no noun phrase begins with; words that are a plural as well are left to the reader. */
const VERBS: ReadonlySet<string> = new Set(
  (
    'Adds Are Asks Begins Binds Bounds Builds Carries Chooses Collects Compares Computes Decides Decodes Describes ' +
    'Does Drives Encodes Explains Finds Follows Gathers Gives Has Holds Is Judges Keeps Leaves Lets Makes Means Moves ' +
    'Opens Parses Proves Reads Refuses Remembers Removes Runs Says Sends Serves Speaks Starts Stops Takes Tells Turns ' +
    'Waits Watches Wraps Writes'
  ).split(' '),
)

/**
 * Tells whether a docstring begins with a word of the wrong kind.
 *
 * @returns True for a function's that begins with no verb, and for a noun's that begins with one.
 */
export function beginsWrongly({ begins, word }: Docstring): boolean {
  if (word === '' || begins === 'free') return false
  return begins === 'noun' ? VERBS.has(word) : !/^[A-Z][a-z]+s$/.test(word)
}
