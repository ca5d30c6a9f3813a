import { describe, expect, it } from 'vitest'
import { newHostLogParser } from '../../../../plugins/go-plugin/host/host-log.ts'

const TIME = '2026-01-01T00:00:00.123456Z'

function hclog(fields: Record<string, unknown>): string {
  return JSON.stringify({ '@level': 'info', '@message': 'm', '@timestamp': TIME, ...fields })
}

describe('newHostLogParser', () => {
  it('takes hclog apart into level, message and fields', () => {
    expect(newHostLogParser()(hclog({ '@module': 'a', n: 1 }))).toMatchObject({
      level: 'info',
      message: 'm',
      fields: { '@module': 'a', n: 1 },
      parsed: true,
    })
  })

  it.each([
    ['three digits of a second', hclog({ '@timestamp': '2026-01-01T00:00:00.123Z' })],
    ['no level', hclog({ '@level': undefined })],
    ['a level it does not know', hclog({ '@level': 'warning' })],
    ['64 KiB', hclog({ text: 'x'.repeat(64 * 1024) })],
    ['no object', '[1]'],
    ['text', 'Error: at line 1'],
  ])('shows the raw line at debug for %s', (_title, line) => {
    expect(newHostLogParser()(line)).toMatchObject({ level: 'debug', message: line, parsed: false, hostPanics: false })
  })

  it.each(['@level', '@message', '@timestamp'])('knows that a number as %s kills a Go host', (key) => {
    expect(newHostLogParser()(hclog({ [key]: 7 })).hostPanics).toBe(true)
  })

  it('reads the level of a prefix, and colours everything after a Go panic', () => {
    const parse = newHostLogParser()
    const levels = ['[WARN] careful', 'plain', 'panic: oh no', 'goroutine 1', hclog({})].map(
      (line) => parse(line).level,
    )
    expect(levels).toEqual(['warn', 'debug', 'error', 'error', 'info'])
  })
})
