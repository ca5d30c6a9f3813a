import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chooseVersion,
  formatHandshake,
  type Handshake,
  hasCookie,
  isTrue,
  notForHumans,
  parseHandshake,
} from '../../../../plugins/go-plugin/serve/handshake.ts'

const PLAIN: Handshake = { appVersion: 1, network: 'unix', address: '/tmp/p', serverCert: '', multiplex: undefined }

function outcome(line: string): unknown {
  try {
    return parseHandshake(line)
  } catch (error) {
    return error
  }
}

describe('hasCookie', () => {
  const cookie = { key: 'NodeAttestor', value: 'NodeAttestor' }
  it.each([
    [{ NodeAttestor: 'NodeAttestor' }, true],
    [{ NodeAttestor: 'nodeattestor' }, false],
    [{ NODEATTESTOR: 'NodeAttestor' }, false],
    [{ NodeAttestor: '' }, false],
    [{}, false],
  ])('compares key and value to the letter: %o', (env, expected) => {
    expect(hasCookie(env, cookie)).toBe(expected)
  })
})

describe('notForHumans', () => {
  it('names the program and where it belongs', () => {
    expect(notForHumans('hello')).toBe(
      'hello is a plugin: its host starts it. It cannot be run directly.\nName it in the configuration of its host.\n',
    )
  })

  it('says what the author wants said instead', () => {
    expect(notForHumans('hello', 'Add it to hello.toml.').split('\n')[1]).toBe('Add it to hello.toml.')
  })
})

describe('chooseVersion', () => {
  it.each([
    [undefined, [1], 1, []],
    ['', [1], 1, []],
    ['2', [1], 1, []],
    ['x,1', [1], 1, ['x']],
    ['1,2', [1], 1, []],
    ['1,2,3', [1, 2], 2, []],
    ['7,8', [3, 2], 2, []],
    ['1.5, 1,0x1', [1], 1, ['1.5', ' 1', '0x1']],
  ])(
    'picks from the list %j for a plugin of %j version %d, garbage %j [C03] [C04] [C05]',
    (list, own, version, garbage) => {
      expect(chooseVersion(list, own)).toEqual({ version, garbage })
    },
  )
})

describe('formatHandshake', () => {
  it('prints six fields and a line feed to a host that did not ask for multiplexing [C06] [C13]', () => {
    expect(formatHandshake(PLAIN)).toBe('1|1|unix|/tmp/p|grpc|\n')
  })

  it('prints a seventh to a host that asked', () => {
    expect(formatHandshake({ ...PLAIN, serverCert: 'AAAA', multiplex: true })).toBe('1|1|unix|/tmp/p|grpc|AAAA|true\n')
    expect(formatHandshake({ ...PLAIN, multiplex: false })).toBe('1|1|unix|/tmp/p|grpc||false\n')
  })
})

describe('parseHandshake', () => {
  it.each([
    ['hello', 'unrecognized remote plugin message: "hello"'],
    ['', 'unrecognized remote plugin message: ""'],
    ['2|1|unix|/tmp/p|grpc|', 'incompatible core API version: 2, expected 1'],
    ['1|x|unix|/tmp/p|grpc|', 'protocol version is not a number: "x"'],
    ['1|1|pipe|/tmp/p|grpc|', 'unknown address type: pipe'],
    ['1|1|unix|/tmp/p', 'unsupported plugin protocol: netrpc, expected grpc'],
    ['1|1|unix|/tmp/p|netrpc|', 'unsupported plugin protocol: netrpc, expected grpc'],
  ])('refuses %j', (line, message) => {
    expect(() => parseHandshake(line)).toThrow(new Error(message))
  })

  it('reads back what formatHandshake prints', () => {
    const handshakes: fc.Arbitrary<Handshake> = fc.record({
      appVersion: fc.nat(),
      network: fc.constantFrom('unix', 'tcp'),
      address: fc.stringMatching(/^[^|\s]{1,100}$/),
      serverCert: fc.base64String().map((text) => text.replaceAll('=', '')),
      multiplex: fc.constantFrom(undefined, true, false),
    })
    fc.assert(
      fc.property(handshakes, (handshake) => {
        expect(parseHandshake(formatHandshake(handshake))).toEqual(handshake)
      }),
    )
  })

  it('throws nothing but errors, whatever the plugin prints', () => {
    fc.assert(
      fc.property(fc.string(), (line) => {
        expect(outcome(line)).toBeInstanceOf(Error)
      }),
    )
  })
})

describe('isTrue', () => {
  it.each(['1', 't', 'T', 'true', 'TRUE', 'True'])('takes %s for true', (text) => expect(isTrue(text)).toBe(true))
  it.each(['', '0', 'false', 'yes', 'tRUE'])('takes %j for false', (text) => expect(isTrue(text)).toBe(false))
})
