/**
 * A plugin's stderr as a go-plugin host reads it.
 *
 * @see hashicorp/go-plugin dd3617a, client.go (logStderr) and log_entry.go
 * @module
 */

/** One line of a plugin's stderr, as the host would log it. */
export interface HostLogEntry {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  /** The line itself. */
  readonly raw: string
  /** Whether the host understood it as hclog's JSON; otherwise it shows the raw line. */
  readonly parsed: boolean
  /** Whether a Go host would have panicked on it, taking the host process with it. */
  readonly hostPanics: boolean
}

const MAX_LINE_BYTES = 64 * 1024
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const

/**
 * Parses the lines of one plugin, in order: a Go panic colours what follows it.
 *
 * @returns Function that parses the next line.
 */
export function newHostLogParser(): (line: string) => HostLogEntry {
  let panicking = false
  return (line) => {
    const json = Buffer.byteLength(line) < MAX_LINE_BYTES ? parseObject(line) : undefined
    if (json !== undefined) return fromJson(line, json)
    panicking ||= line.startsWith('panic: ') || line.startsWith('fatal error: ')
    const level = panicking ? 'error' : (LEVELS.find((name) => line.startsWith(`[${name.toUpperCase()}]`)) ?? 'debug')
    return { level, message: line, fields: {}, raw: line, parsed: false, hostPanics: false }
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return { ...value }
  } catch {
    return undefined
  }
}

function fromJson(raw: string, json: Record<string, unknown>): HostLogEntry {
  const { '@message': message, '@level': level, '@timestamp': time, ...fields } = json
  const unread: HostLogEntry = { level: 'debug', message: raw, fields: {}, raw, parsed: false, hostPanics: false }
  // The host asserts these types without a check.
  if ([message, level, time].some((value) => value !== undefined && typeof value !== 'string')) {
    return { ...unread, hostPanics: true }
  }
  if (typeof time === 'string' && !TIMESTAMP.test(time)) return unread
  const known = LEVELS.find((name) => typeof level === 'string' && name === level.toLowerCase())
  if (known === undefined) return unread
  return {
    level: known,
    message: typeof message === 'string' ? message : '',
    fields,
    raw,
    parsed: true,
    hostPanics: false,
  }
}
