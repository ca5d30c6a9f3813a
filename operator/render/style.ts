/**
 * Colour, or none.
 *
 * @module
 */
import { styleText } from 'node:util'
import type { Severity } from '../findings/finding.ts'

/** How text is dressed. */
export interface Style {
  /** Width of the terminal, or 0 when there is none. */
  readonly columns: number
  /** @param text One line, dressed as a severity. */
  paint(severity: Severity, text: string): string
  /** @param text One line, dressed as a heading. */
  strong(text: string): string
  /** @param text One line, dressed as an aside. */
  faint(text: string): string
}

/** Text as it is. */
export const PLAIN: Style = { columns: 0, paint: (_, text) => text, strong: (text) => text, faint: (text) => text }

const COLOURS: Readonly<Record<Severity, Parameters<typeof styleText>[0]>> = {
  ok: 'green',
  info: 'cyan',
  warn: 'yellow',
  crit: 'red',
  unknown: 'magenta',
}

/**
 * Chooses how to dress text on a stream.
 *
 * @param stream Where it goes: a terminal gets colour, unless NO_COLOR is set.
 * @param color `never`: without colour whatever the stream.
 * @returns The style.
 */
export function styleFor(stream: NodeJS.WriteStream, color: 'auto' | 'never'): Style {
  if (color === 'never' || (!stream.isTTY && process.env['FORCE_COLOR'] === undefined)) {
    return { ...PLAIN, columns: stream.isTTY ? stream.columns : 0 }
  }
  const dress = (format: Parameters<typeof styleText>[0], text: string): string => styleText(format, text, { stream })
  return {
    columns: stream.columns ?? 0,
    paint: (severity, text) => dress(COLOURS[severity], text),
    strong: (text) => dress('bold', text),
    faint: (text) => dress('dim', text),
  }
}
