/**
 * Long work on a terminal: one line for each task, redrawn; elsewhere a line when something begins, moves on or ends.
 *
 * @module
 */

/** One line of the board. */
export interface Task {
  /** Says where the task is now, for instance "412 of 2210 packages compiled". */
  update(text: string): void
  done(text: string): void
  failed(): void
}

/** Several tasks that run side by side. */
export interface Board {
  task(name: string): Task
  /** Draws a last time and stops drawing. */
  close(): void
}

interface Line {
  readonly name: string
  readonly since: number
  text: string
  state: 'running' | 'done' | 'failed'
  seconds: number
  printedAt: number
}

const REDRAW_MS = 500
const QUIET_MS = 15_000
const MARKS = { running: '…', done: '✓', failed: '✗' } as const

/**
 * Opens a board.
 *
 * @param out Where to write; a terminal gets lines that move.
 * @param terse Says nothing about tasks that are done within a second.
 */
export function newBoard(out: NodeJS.WriteStream, terse = false): Board {
  const lines: Line[] = []
  let drawn = 0
  const tick = (): void => {
    if (out.isTTY && !terse) redraw()
    else for (const line of lines) printIfDue(line)
  }
  const timer = setInterval(tick, terse ? QUIET_MS : REDRAW_MS)
  timer.unref()

  function redraw(): void {
    const up = drawn > 0 ? `\u001b[${drawn}A` : ''
    out.write(up + lines.map((line) => `\u001b[2K${render(line).slice(0, (out.columns ?? 120) - 1)}\n`).join(''))
    drawn = lines.length
  }

  function printIfDue(line: Line): void {
    if (line.state === 'running' && performance.now() - line.printedAt > QUIET_MS) print(line)
  }

  function print(line: Line): void {
    line.printedAt = performance.now()
    out.write(`${render(line)}\n`)
  }

  return {
    task(name) {
      const now = performance.now()
      const line: Line = { name, since: now, text: '', state: 'running', seconds: 0, printedAt: now }
      lines.push(line)
      const end = (state: 'done' | 'failed', text: string): void => {
        Object.assign(line, { state, text, seconds: (performance.now() - line.since) / 1000 })
        if (out.isTTY && !terse) redraw()
        else if (!terse || state === 'failed' || line.seconds > 1) print(line)
      }
      return {
        update(text) {
          line.text = text
        },
        done: (text) => end('done', text),
        failed: () => end('failed', line.text),
      }
    },
    close() {
      clearInterval(timer)
      if (out.isTTY && !terse) redraw()
    },
  }
}

function render(line: Line): string {
  const seconds = line.state === 'running' ? (performance.now() - line.since) / 1000 : line.seconds
  return `  ${MARKS[line.state]} ${line.name.padEnd(18)} ${line.text}${seconds < 0.95 ? '' : `  (${formatSeconds(seconds)})`}`
}

/**
 * Words a duration.
 *
 * @param seconds Seconds, with a fraction.
 * @returns "7.3 s", or "4 min 09 s" from a minute on.
 */
export function formatSeconds(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}

/**
 * Runs work as one task of a board.
 *
 * @throws {unknown} Error of the work.
 */
export async function tracked<T>(
  board: Board,
  name: string,
  work: (task: Task) => Promise<T>,
  summary: (result: T) => string = () => 'there',
): Promise<T> {
  const task = board.task(name)
  try {
    const result = await work(task)
    task.done(summary(result))
    return result
  } catch (error) {
    task.failed()
    throw error
  }
}
