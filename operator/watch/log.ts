/**
 * The daemon's log: hclog's JSON on standard error, as SPIRE and the plugins write theirs.
 *
 * @module
 */
import type { Log } from '@tower-of-omens/keylime'

/**
 * Makes the log.
 *
 * @param write Takes one line with its line end.
 * @param verbose Also write what is only of use when looking for a fault.
 * @returns The log.
 */
export function newLog(write: (line: string) => void, verbose: boolean): Log {
  const line =
    (level: string): Log['info'] =>
    (message, fields = {}) => {
      const entry = {
        '@level': level,
        '@message': message,
        '@module': 'towerkeep.watch',
        '@timestamp': new Date().toISOString(),
        ...fields,
      }
      write(`${JSON.stringify(entry)}\n`)
    }
  return {
    debug: verbose ? line('debug') : () => undefined,
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
  }
}
