import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatHostPort, isHost, parseHostPort } from '../../../../plugins/keylime/basis/host-port.ts'

describe('parseHostPort', () => {
  it.each([
    ['verifier.example:8881', { host: 'verifier.example', port: 8881 }],
    ['verifier.example', { host: 'verifier.example', port: 1 }],
    ['10.0.0.1:443', { host: '10.0.0.1', port: 443 }],
    ['[::1]:8881', { host: '::1', port: 8881 }],
    ['[::1]', { host: '::1', port: 1 }],
    ['2001:db8::1', { host: '2001:db8::1', port: 1 }],
  ])('reads %s', (text, parts) => {
    expect(parseHostPort(text, 1)).toEqual(parts)
  })

  it.each([
    '',
    ':8881',
    'host:',
    'host:0',
    'host:65536',
    'host:x',
    'https://host',
    'host/path',
    'a b',
    '[host]:1',
    '[::1',
    '-x',
    'host:1:2',
  ])('refuses %j', (text) => {
    expect(parseHostPort(text, 1)).toBeUndefined()
  })

  it('reads back what formatHostPort writes', () => {
    const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(hosts, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(parseHostPort(formatHostPort({ host, port }), 1)).toEqual({ host, port })
      }),
    )
  })

  it('takes nothing that could reach another host or path', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseHostPort(text, 1)
        expect(parsed === undefined || isHost(parsed.host)).toBe(true)
        expect(parsed?.host ?? '').not.toMatch(/[\s/?#@]/)
      }),
    )
  })
})
