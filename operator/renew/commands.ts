/**
 * The two programs that a renewal may start: what makes a service read its files, and the operator's hook.
 *
 * @module
 */
import { execFile } from 'node:child_process'

/** How a program ended. */
export interface Ended {
  /** Undefined: it could not be started or was ended by us. */
  readonly code?: number
  /** The last line it wrote to standard error, or why it did not run. */
  readonly said: string
}

/**
 * Runs a program to its end; no shell reads its words.
 *
 * @param words Program and words.
 * @param options `env`: variables besides our own. `timeoutMs`: then it is ended.
 * @returns How it ended; never rejects.
 */
export function runProgram(
  words: readonly string[],
  { env = {}, timeoutMs }: { readonly env?: Readonly<Record<string, string>>; readonly timeoutMs: number },
): Promise<Ended> {
  const [program = '', ...rest] = words
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const options = { env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 1024 * 1024 }
  execFile(program, rest, options, (error, _stdout, stderr) => {
    const last = stderr.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
    if (error === null) return resolve({ code: 0, said: last })
    if (error.killed === true) return resolve({ said: `did not end within ${timeoutMs} ms` })
    resolve(typeof error.code === 'number' ? { code: error.code, said: last } : { said: error.code ?? error.message })
  })
  return promise
}

/**
 * Says how a program failed.
 *
 * @param words Program and words.
 * @param ended How it ended.
 * @returns One line, or undefined when it succeeded.
 */
export function failureOf(words: readonly string[], { code, said }: Ended): string | undefined {
  if (code === 0) return undefined
  const how = code === undefined ? said : `ended with ${code}${said === '' ? '' : `: ${said}`}`
  return `${words.join(' ')}: ${how}`
}
