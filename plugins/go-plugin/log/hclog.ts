/**
 * The log lines a go-plugin host understands: hclog's JSON, one object a line, on stderr.
 *
 * The host asserts unchecked that `@message`, `@level` and `@timestamp` are strings, wants exactly six fractional
 * digits, and parses no line of 64 KiB or more.
 *
 * @see hashicorp/go-plugin dd3617a, log_entry.go and client.go
 * @module
 */
import { newStderrWriter } from './stderr-writer.ts'

/** A level hclog knows. SPIRE shows everything but trace, if its own level allows. */
export type HclogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** Facts beside a message. Keys in snake_case; a leading `@` is removed, for those belong to hclog. */
export type HclogFields = Readonly<Record<string, unknown>>

/** Logger whose lines the host shows with their level and fields. */
export interface HclogLogger {
  trace(message: string, fields?: HclogFields): void
  debug(message: string, fields?: HclogFields): void
  info(message: string, fields?: HclogFields): void
  warn(message: string, fields?: HclogFields): void
  error(message: string, fields?: HclogFields): void
  /** Makes a logger whose lines carry this name as `@module`, after the parent's name and a dot. */
  named(name: string): HclogLogger
  /** Makes a logger that adds these fields to every line. */
  with(fields: HclogFields): HclogLogger
}

/** The host's line buffer is 64 KiB (`PluginLogBufferSize`); the rest is room for the line feed. */
const MAX_LINE_BYTES = 65_000
const MAX_MESSAGE_CHARS = 12_000
const MAX_VALUE_CHARS = 2000
const CUT = '... (truncated)'

/**
 * Makes the root logger.
 *
 * @param write Takes one line without line feed; by default it goes to stderr at once.
 * @returns Logger without a name.
 */
export function newHclogLogger(write: (line: string) => void = newStderrWriter()): HclogLogger {
  return loggerFor(write, '', {})
}

function loggerFor(write: (line: string) => void, name: string, bound: HclogFields): HclogLogger {
  const at = (level: HclogLevel) => (message: string, fields?: HclogFields) =>
    write(formatHclogLine(level, name, message, { ...bound, ...fields }))
  return {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    named: (child) => loggerFor(write, name === '' ? child : `${name}.${child}`, bound),
    with: (fields) => loggerFor(write, name, { ...bound, ...fields }),
  }
}

/**
 * Formats one line that no host can misread, whatever it is given.
 *
 * @param level Level of the line.
 * @param name Module name, or the empty text for none.
 * @param message Text; anything else, from code without types, is turned into text.
 * @param fields Facts; values that JSON cannot carry are turned into text.
 * @param now Time of the line.
 * @returns JSON object in one line, below 64 KiB, without line feed.
 */
export function formatHclogLine(
  level: HclogLevel,
  name: string,
  message: string,
  fields: HclogFields,
  now: Date = new Date(),
): string {
  const head = {
    '@level': level,
    '@message': textOf(message),
    ...(name === '' ? {} : { '@module': textOf(name) }),
    '@timestamp': timestamp(now),
  }
  const plain = plainFields(fields)
  const line = JSON.stringify({ ...head, ...plain })
  // A character is at least a byte, so a short text needs no count.
  if (line.length <= MAX_LINE_BYTES / 4 || Buffer.byteLength(line) <= MAX_LINE_BYTES) return line
  return truncatedLine(head, plain)
}

function truncatedLine(head: Readonly<Record<string, string>>, fields: Readonly<Record<string, unknown>>): string {
  const line: Record<string, unknown> = { ...head, '@message': cut(head['@message'] ?? '', MAX_MESSAGE_CHARS) }
  let bytes = Buffer.byteLength(JSON.stringify(line)) + 64
  for (const [key, value] of Object.entries(fields)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const kept = text.length > MAX_VALUE_CHARS ? cut(text, MAX_VALUE_CHARS) : value
    const cost = Buffer.byteLength(JSON.stringify({ [cut(key, 200)]: kept }))
    if (bytes + cost > MAX_LINE_BYTES) {
      line['fields_dropped'] = true
      break
    }
    line[cut(key, 200)] = kept
    bytes += cost
  }
  return JSON.stringify(line)
}

function cut(text: string, chars: number): string {
  return text.length <= chars ? text : text.slice(0, chars) + CUT
}

// `2006-01-02T15:04:05.000000Z`: with three digits, or nine, the host logs the raw line at debug.
function timestamp(now: Date): string {
  return now.toISOString().replace('Z', '000Z')
}

function plainFields(fields: HclogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    plain[key.replace(/^@+/, '')] = plainValue(value)
  }
  return plain
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object') return textOf(value)
  if (value instanceof Error) return describeError(value)
  // Bytes may be a key or a quote: their number is all that a log needs.
  if (value instanceof Uint8Array) return `${value.length} bytes`
  try {
    const json = JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner))
    return json === undefined ? textOf(value) : (JSON.parse(json) as unknown)
  } catch {
    return textOf(value)
  }
}

/**
 * Describes an error and what caused it in one line.
 *
 * @param error Anything that was thrown.
 * @returns Message, then each cause's message after a colon; at most five deep.
 */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let current = error
  while (current instanceof Error && parts.length < 5) {
    parts.push(textOf(current.message === '' ? current.name : current.message))
    current = current.cause
  }
  if (parts.length === 0) return textOf(error)
  return parts.join(': ')
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    if (typeof value === 'object' && value !== null)
      return JSON.stringify(value) ?? Object.prototype.toString.call(value)
    return String(value)
  } catch {
    return Object.prototype.toString.call(value)
  }
}
