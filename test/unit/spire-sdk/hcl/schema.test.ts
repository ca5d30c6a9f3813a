import { describe, expect, it } from 'vitest'
import { defineSchema, renderReference } from '../../../../plugins/spire-sdk/hcl/index.ts'

describe('defineSchema', () => {
  it.each([
    [{ Port: { kind: 'port', help: 'h' } }, 'schema: Port is not lower case with underscores'],
    [{ old: { aliasOf: 'new' } }, 'schema: old is another name of new, which is no field'],
    [{ old: { aliasOf: 'toString' } }, 'schema: old is another name of toString, which is no field'],
    [{ a: { aliasOf: 'b' }, b: { aliasOf: 'a' } }, 'schema: a is another name of b, which is no field'],
    [
      { wait: { kind: 'duration', default: '5', help: 'h' } },
      'schema: default of wait: has no unit; write "5s" for seconds',
    ],
    [
      { in: { kind: 'block', help: 'h', fields: { B: { kind: 'port', help: 'h' } } } },
      'schema: B is not lower case with underscores',
    ],
  ] as const)("finds the programmer's mistake in %j", (fields, message) => {
    expect(() => defineSchema(fields)).toThrow(new TypeError(message))
  })
})

describe('renderReference', () => {
  it('prints one row per key, with kind, default and meaning', () => {
    const schema = defineSchema({
      host: { kind: 'string', default: '127.0.0.1', help: 'Where it listens.' },
      other: { kind: 'string', defaultText: 'the host', help: 'Another | host.' },
      port: { kind: 'port', required: true, help: 'Its port.' },
      algs: { kind: 'string_list', default: ['a', 'b'], help: 'Which.' },
      wait: { kind: 'duration', default: '5s', help: 'How long.' },
      on: { kind: 'boolean', default: false, help: 'Whether.' },
      old: { aliasOf: 'host' },
      dead: { kind: 'string', help: '', ignored: 'it does nothing' },
      in: { kind: 'block', help: 'Inner.', fields: { n: { kind: 'integer', help: 'How many.' } } },
    })
    expect(renderReference(schema).split('\n')).toEqual([
      '| key | kind | default | meaning |',
      '| --- | --- | --- | --- |',
      '| `host` | string | `"127.0.0.1"` | Where it listens. |',
      '| `other` | string | the host | Another \\| host. |',
      '| `port` | port | required | Its port. |',
      '| `algs` | list of strings | `["a", "b"]` | Which. |',
      '| `wait` | duration | `"5s"` | How long. |',
      '| `on` | boolean | `false` | Whether. |',
      '| `old` |  |  | another name of `host`, accepted with a warning |',
      '| `dead` |  |  | ignored with a warning: it does nothing |',
      '| `in` | block |  | Inner. |',
      '| `in.n` | number |  | How many. |',
      '',
    ])
  })
})
