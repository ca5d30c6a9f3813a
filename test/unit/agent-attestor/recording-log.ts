// A logger that keeps its lines.
import type { Logger } from '../../../plugins/spire-sdk/index.ts'

/** Makes a logger and the list its lines go to: `level message {fields}`. */
export function newRecordingLog(): { readonly log: Logger; readonly lines: readonly string[] } {
  const lines: string[] = []
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
    }
  const log: Logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    named: () => log,
    with: () => log,
  }
  return { log, lines }
}
