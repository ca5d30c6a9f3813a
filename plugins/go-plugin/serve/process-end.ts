/**
 * The last act of a plugin's process.
 *
 * @module
 */

/** Requests of Node's helper threads that the kernel or a name server can hold up for minutes. */
const HELD_UP: ReadonlySet<string> = new Set([
  'GetAddrInfoReqWrap',
  'GetNameInfoReqWrap',
  'FSReqCallback',
  'FSReqPromise',
])
const GRACE_MS = 100

/** How a process ends; other ones for tests. */
export interface ProcessEnd {
  /** Names what Node.js still waits for. */
  readonly pending: () => readonly string[]
  readonly exit: () => void
  /** Ends the process without waiting for its threads. */
  readonly kill: () => void
}

const THIS_PROCESS: ProcessEnd = {
  pending: () => process.getActiveResourcesInfo(),
  exit: () => process.exit(0),
  kill: () => void process.kill(process.pid, 'SIGKILL'),
}

/**
 * Ends the process with exit code 0.
 *
 * An exit waits for the helper threads, and so for a name server or a file system that does not answer: after a moment
 * the process kills itself instead, as its host would soon. All that had to be closed or removed is by now.
 *
 * @param how Default: this process.
 */
export async function endProcess(how: ProcessEnd = THIS_PROCESS): Promise<void> {
  const isHeldUp = (): boolean => how.pending().some((name) => HELD_UP.has(name))
  if (isHeldUp()) await new Promise((resolve) => setTimeout(resolve, GRACE_MS))
  if (isHeldUp()) how.kill()
  else how.exit()
}
