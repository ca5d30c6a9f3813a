/**
 * Whole lines for file descriptor 2, written at once and without ever throwing.
 *
 * Node's own stderr stream is asynchronous on pipes: what it still holds is lost when the process exits.
 *
 * @module
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/** How long one line may wait for a host that does not read its end of the pipe. */
const STALL_LIMIT_MS = 1000
const RETRY_MS = 2

/** The system call a writer uses; tests put a reluctant one in its place. */
export type WriteCall = (bytes: Uint8Array) => number

/**
 * Makes a function that writes one line at a time to the process's stderr.
 *
 * A full pipe is retried for a second, then the line is dropped, and the number of dropped lines is told as soon
 * as the host reads again. A closed pipe silences the writer: a host that is gone must not end the plugin.
 *
 * @param write System call to use; by default it writes to stderr.
 * @returns Writer of one line, without its line feed.
 */
export function newStderrWriter(write: WriteCall = stderrCall()): (line: string) => void {
  const state = { broken: false, dropped: 0, cutLine: false }
  return (line) => {
    if (state.broken) return
    const stalled = state.dropped > 0
    const notice = stalled ? `[WARN] the host did not read stderr: ${state.dropped} log lines were dropped\n` : ''
    const bytes = Buffer.from(`${state.cutLine ? '\n' : ''}${notice}${line}\n`)
    const outcome = writeAll(write, bytes, stalled ? 0 : STALL_LIMIT_MS)
    if (outcome.kind === 'written') {
      state.dropped = 0
      state.cutLine = false
    } else if (outcome.kind === 'stalled') {
      state.dropped += 1
      state.cutLine = outcome.cut || state.cutLine
    } else {
      state.broken = true
    }
  }
}

/**
 * Finds a way to write to stderr that cannot wait for ever. The descriptor itself blocks, and is shared with others who
 * rely on that; a pipe can be opened a second time, without blocking.
 */
function stderrCall(): WriteCall {
  let fd: number | undefined
  return (bytes) => {
    fd ??= nonBlockingPipe(2) ?? 2
    return writeSync(fd, bytes)
  }
}

function nonBlockingPipe(fd: number): number | undefined {
  try {
    if (!fstatSync(fd).isFIFO()) return undefined
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // No /proc here: a host that does not read its pipe can then hold the plugin up.
    return undefined
  }
}

type Outcome = { readonly kind: 'written' | 'broken' } | { readonly kind: 'stalled'; readonly cut: boolean }

function writeAll(write: WriteCall, bytes: Uint8Array, patienceMs: number): Outcome {
  let sent = 0
  let waitedMs = 0
  while (sent < bytes.length) {
    try {
      sent += write(bytes.subarray(sent))
    } catch (error) {
      if (!isAgain(error)) return { kind: 'broken' }
      if (waitedMs >= patienceMs) return { kind: 'stalled', cut: sent > 0 }
      sleep(RETRY_MS)
      waitedMs += RETRY_MS
    }
  }
  return { kind: 'written' }
}

/**
 * Writes a whole text to a descriptor, waiting as long as a full pipe needs.
 *
 * @param fd Open descriptor, such as 1.
 * @param text Text to write.
 * @throws {Error} The descriptor is closed or its reader is gone.
 */
export function writeFully(fd: number, text: string): void {
  let rest = Buffer.from(text)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      if (!isAgain(error)) throw error
      sleep(RETRY_MS)
    }
  }
}

function isAgain(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR')
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
