import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newHostLogParser } from '../../../../plugins/go-plugin/host/host-log.ts'
import {
  describeError,
  formatHclogLine,
  type HclogFields,
  newHclogLogger,
} from '../../../../plugins/go-plugin/log/hclog.ts'

const NOON = new Date('2026-01-02T12:00:00.123Z')

function fieldsOf(fields: HclogFields): unknown {
  return newHostLogParser()(formatHclogLine('info', '', 'm', fields, NOON)).fields
}

describe('formatHclogLine', () => {
  it('prints what hclog prints, to the byte [C24]', () => {
    expect(formatHclogLine('warn', 'a.b', 'hello', { agent_id: 'x', n: 1 }, NOON)).toBe(
      '{"@level":"warn","@message":"hello","@module":"a.b","@timestamp":"2026-01-02T12:00:00.123000Z","agent_id":"x","n":1}',
    )
  })

  it('leaves the keys of hclog to hclog [C22]', () => {
    const line = formatHclogLine('info', '', 'm', { '@message': 7, '@level': 'error', '@@timestamp': {} }, NOON)
    expect(JSON.parse(line)).toEqual({
      '@level': 'info',
      '@message': 'm',
      '@timestamp': '2026-01-02T12:00:00.123000Z',
      message: 7,
      level: 'error',
      timestamp: {},
    })
  })

  it.each([
    [10n, '10'],
    [Number.NaN, 'NaN'],
    [Infinity, 'Infinity'],
    [Symbol('s'), 'Symbol(s)'],
    [new Error('a', { cause: new Error('b') }), 'a: b'],
    [new Uint8Array(3), '3 bytes'],
    [NOON, '2026-01-02T12:00:00.123Z'],
    [{ a: [1n] }, { a: ['1'] }],
    [null, null],
    [false, false],
  ])('says %s as %j [C21]', (value, expected) => {
    expect(fieldsOf({ value })).toEqual({ value: expected })
  })

  it('survives values that refuse to be printed', () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const hostile = {
      toJSON: () => {
        throw new Error('no')
      },
    }
    expect(fieldsOf({ circular, hostile, missing: undefined })).toEqual({
      circular: '[object Object]',
      hostile: '[object Object]',
    })
  })

  it('is always one line below 64 KiB that the host reads with its level [C22] [C23]', () => {
    const level = fc.constantFrom('trace', 'debug', 'info', 'warn', 'error')
    const bigText = fc.string({ unit: 'binary' }).map((text) => text.repeat(3000))
    const fields = fc.dictionary(fc.string(), fc.oneof(fc.anything({ withBigInt: true }), bigText))
    const message = fc.oneof(fc.string(), bigText)
    fc.assert(
      fc.property(level, fc.string(), message, fields, (name, module, text, given) => {
        const line = formatHclogLine(name, module, text, given)
        expect(line).not.toMatch(/[\r\n]/)
        expect(Buffer.byteLength(line)).toBeLessThan(64 * 1024)
        expect(newHostLogParser()(line)).toMatchObject({ level: name, parsed: true, hostPanics: false })
      }),
    )
  })

  it('tells that fields were dropped when they are too many', () => {
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`key_${index}`, 'x'.repeat(100)]))
    const fields = fieldsOf(many)
    expect(fields).toMatchObject({ key_0: 'x'.repeat(100), fields_dropped: true })
    expect(fields).not.toHaveProperty('key_1999')
  })
})

describe('newHclogLogger', () => {
  it('carries names and fields into every line', () => {
    const lines: string[] = []
    const log = newHclogLogger((line) => lines.push(line))
    log.named('a').with({ stream: 1 }).named('b').error('message', { stream: 2, more: true })
    log.info('plain')
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ '@module': 'a.b', '@level': 'error', stream: 2, more: true })
    expect(Object.keys(JSON.parse(lines[1] ?? '') as object)).toEqual(['@level', '@message', '@timestamp'])
  })
})

describe('describeError', () => {
  it.each([
    [new TypeError(''), 'TypeError'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [{ code: 7 }, '{"code":7}'],
    [new Error('a', { cause: 'no error' }), 'a'],
  ])('describes %o as %s', (error, text) => {
    expect(describeError(error)).toBe(text)
  })

  it('stops at causes that go in a circle', () => {
    const error = new Error('round')
    error.cause = error
    expect(describeError(error)).toBe('round: round: round: round: round')
  })
})
