import { describe, expect, expectTypeOf, it } from 'vitest'
import { decodeConfig, defineSchema, type FieldSpecs } from '../../../../plugins/spire-sdk/hcl/index.ts'

const server = defineSchema({
  keylime_verifier_host: { kind: 'string', default: '127.0.0.1', help: 'h' },
  keylime_verifier_port: { kind: 'port', default: 8881, help: 'h' },
  keylime_registrar_host: { kind: 'string', defaultText: "the verifier's host", help: 'h' },
  keylime_registrar_port: { kind: 'port', default: 8891, help: 'h' },
  keylime_tls_ca_cert_file: { kind: 'string', default: '/ca', help: 'h' },
  keylime_tls_cert_file: { kind: 'string', default: '/cert', help: 'h' },
  keylime_tls_key_file: { kind: 'string', default: '/key', help: 'h' },
  keylime_tls_client_cert_file: { aliasOf: 'keylime_tls_cert_file' },
  keylime_tls_client_key_file: { aliasOf: 'keylime_tls_key_file' },
  tpm_policy: { kind: 'string', help: 'h' },
  tpm_path: { ignored: 'only the Keylime agent opens the TPM' },
})

const agent = defineSchema({
  keylime_agent_host: { kind: 'string', default: '127.0.0.1', help: 'h' },
  keylime_agent_port: { kind: 'port', default: 9002, help: 'h' },
  keylime_agent_use_tls: { kind: 'boolean', default: false, help: 'h' },
  keylime_agent_ca_cert: { kind: 'string', help: 'h' },
  keylime_agent_client_cert: { kind: 'string', help: 'h' },
  keylime_agent_client_key: { kind: 'string', help: 'h' },
  keylime_agent_uuid: { kind: 'string', help: 'h' },
})

const every = defineSchema({
  text: { kind: 'string', help: 'h' },
  mode: { kind: 'string', oneOf: ['strict', 'shadow'], default: 'strict', help: 'h' },
  host_port: { kind: 'string', pattern: /[a-z]+:\d+/, patternText: '"host:port"', help: 'h' },
  even: { kind: 'string', check: (value) => (value.length % 2 === 0 ? undefined : 'has an odd length'), help: 'h' },
  count: { kind: 'integer', min: 2, max: 10, help: 'h' },
  any_count: { kind: 'integer', help: 'h' },
  least: { kind: 'integer', min: 5, help: 'h' },
  most: { kind: 'integer', max: 5, help: 'h' },
  port: { kind: 'port', help: 'h' },
  flag: { kind: 'boolean', help: 'h' },
  wait: { kind: 'duration', default: '5s', min: 100, max: 60_000, help: 'h' },
  list: { kind: 'string_list', default: ['a'], help: 'h' },
  algs: { kind: 'string_list', oneOf: ['sha256', 'sha384'], min: 1, max: 2, help: 'h' },
})

function say<S extends FieldSpecs>(text: string, schema: ReturnType<typeof defineSchema<S>>): string[] {
  const { problems, warnings } = decodeConfig(text, schema)
  return [...problems.map(String), ...warnings.map((warning) => `warning ${warning.toString()}`)]
}

describe('decodeConfig', () => {
  it("decodes the operator's server block as SPIRE prints it, with ports in quotes and escaped JSON [P07]", () => {
    const text = [
      'keylime_verifier_host = "verifier.keylime.funlab.casa"',
      'keylime_verifier_port = "443"',
      'keylime_registrar_host = "registrar.keylime.funlab.casa"',
      'keylime_registrar_port = "443"',
      'keylime_tls_ca_cert_file = "/etc/keylime/certs/ca-complete-chain.crt"',
      'keylime_tls_cert_file = "/etc/keylime/certs/agent.crt"',
      'keylime_tls_key_file = "/etc/keylime/certs/agent-pkcs8.key"',
      'tpm_policy = "{\\"mask\\": \\"0x90\\"}"',
    ]
    const decoded = decodeConfig(text.join('\n\n'), server)
    expect(decoded.problems).toEqual([])
    expect(decoded.warnings).toEqual([])
    expect(decoded.values).toEqual({
      keylime_verifier_host: 'verifier.keylime.funlab.casa',
      keylime_verifier_port: 443,
      keylime_registrar_host: 'registrar.keylime.funlab.casa',
      keylime_registrar_port: 443,
      keylime_tls_ca_cert_file: '/etc/keylime/certs/ca-complete-chain.crt',
      keylime_tls_cert_file: '/etc/keylime/certs/agent.crt',
      keylime_tls_key_file: '/etc/keylime/certs/agent-pkcs8.key',
      tpm_policy: '{"mask": "0x90"}',
    })
    expect([...decoded.given]).toHaveLength(8)
  })

  it("decodes the operator's agent block, indented as in the file", () => {
    const text = `
            keylime_agent_host = "127.0.0.1"
            keylime_agent_port = "9002"
            keylime_agent_use_tls = true
            keylime_agent_ca_cert = "/etc/keylime/certs/ca-chain.crt"
            keylime_agent_client_cert = "/etc/keylime/certs/agent.crt"
            keylime_agent_client_key = "/etc/keylime/certs/agent-pkcs8.key"
`
    const decoded = decodeConfig(text, agent)
    expect(decoded.problems).toEqual([])
    expect(decoded.values).toMatchObject({ keylime_agent_port: 9002, keylime_agent_use_tls: true })
    expect(decoded.positions.get('keylime_agent_port')).toEqual({ line: 3, column: 13 })
  })

  it('decodes the other variants the operator has run: aliases and tpm_path warn, invented keys are refused', () => {
    expect(say('keylime_agent_host="127.0.0.1"\nkeylime_agent_port="9002"', agent)).toEqual([])
    expect(say('keylime_tls_client_cert_file = "/v.crt"\nkeylime_tls_client_key_file = "/v.key"', server)).toEqual([
      'warning 1:1: keylime_tls_client_cert_file: another name of "keylime_tls_cert_file"; write that',
      'warning 2:1: keylime_tls_client_key_file: another name of "keylime_tls_key_file"; write that',
    ])
    expect(say('tpm_path = "/dev/tpmrm0"', server)).toEqual([
      'warning 1:1: tpm_path: ignored: only the Keylime agent opens the TPM',
    ])
    expect(say('registrar_url = "x"\nverifier_url = "y"', server)).toEqual([
      '1:1: registrar_url: unknown key; did you mean "keylime_registrar_host" or "keylime_registrar_port"?',
      '2:1: verifier_url: unknown key; did you mean "keylime_verifier_host" or "keylime_verifier_port"?',
    ])
    expect(say('agent_uuid = "auto"', agent)).toEqual([
      '1:1: agent_uuid: unknown key; did you mean "keylime_agent_uuid"?',
    ])
  })

  it('uses the value of an alias', () => {
    expect(decodeConfig('keylime_tls_client_cert_file = "/v"', server).values.keylime_tls_cert_file).toBe('/v')
  })

  it('refuses a key set under both of its names', () => {
    const text = 'keylime_tls_cert_file = "/a"\nkeylime_tls_client_cert_file = "/b"'
    expect(say(text, server)[0]).toBe(
      '2:1: keylime_tls_client_cert_file: already set at 1:1 as "keylime_tls_cert_file"',
    )
  })

  it('names a misspelt key and the right one, with the place [T80] [P07]', () => {
    expect(say('keylime_verifier_port = 443\n  keylime_tls_ca_cert = "/x"', server)).toEqual([
      '2:3: keylime_tls_ca_cert: unknown key; did you mean "keylime_tls_ca_cert_file"?',
    ])
  })

  it('reports all problems at once, each once, in the order of the text [T80]', () => {
    const text = [
      'wiat = "5s"',
      'port = "0"',
      'mode = "Strict"',
      'algs = ["sha256", "sha1"]',
      'port = 70000',
      'flag = "true"',
    ]
    expect(say(text.join('\n'), every)).toEqual([
      '1:1: wiat: unknown key; did you mean "wait"?',
      '2:8: port: expected a port number from 1 to 65535, found the string "0"',
      '3:8: mode: expected one of "strict", "shadow", found the string "Strict"; did you mean "strict"?',
      '4:19: algs: expected one of "sha256", "sha384", found the string "sha1"',
      '5:1: port: already set at 2:1',
      '5:8: port: expected a port number from 1 to 65535, found the number 70000',
      '6:8: flag: expected true or false, found the string "true"; write true without quotes',
    ])
  })

  it('reports a syntax error as the one problem, without a key', () => {
    const decoded = decodeConfig('port = 1\nflag = yes', every)
    expect(decoded.problems.map(String)).toEqual([
      '2:8: "flag": expected a value, found "yes"; strings stand in quotes',
    ])
    expect(decoded.problems[0]?.key).toBeUndefined()
    expect(decoded.values.wait).toBe(5000)
  })

  it('matches keys without regard to case, as Go does', () => {
    expect(decodeConfig('Port = 1\nFLAG = true', every).values).toMatchObject({ port: 1, flag: true })
    expect(say('port = 1\nPORT = 2', every)).toEqual(['2:1: PORT: already set at 1:1'])
  })

  it('takes an empty string as not given, as the Go plugin does, and warns of it', () => {
    const decoded = decodeConfig('keylime_verifier_host = ""\nkeylime_verifier_port = ""\ntpm_policy = ""', server)
    expect(decoded.problems).toEqual([])
    expect(decoded.warnings.map(String)).toEqual([
      '1:1: keylime_verifier_host: empty, so it counts as not set',
      '2:1: keylime_verifier_port: empty, so it counts as not set',
      '3:1: tpm_policy: empty, so it counts as not set',
    ])
    expect(decoded.given.size).toBe(0)
    expect(decoded.values).toMatchObject({ keylime_verifier_host: '127.0.0.1', keylime_verifier_port: 8881 })
    expect(decoded.values.tpm_policy).toBeUndefined()
    expect(decodeConfig('wait = ""', every).values.wait).toBe(5000)
  })

  it('refuses an empty value where the field adds a check [config:empty:refused]', () => {
    const checks = defineSchema({
      ca: { kind: 'string', refusesEmpty: true, help: 'h' },
      age: { kind: 'duration', refusesEmpty: true, help: 'h' },
      other: { kind: 'string', help: 'h' },
    })
    const why = 'empty: was a variable not set? give it a value, or leave the key out to go without'
    expect(say('ca = ""\nage = ""\nother = ""', checks)).toEqual([
      `1:1: ca: ${why}`,
      `2:1: age: ${why}`,
      'warning 3:1: other: empty, so it counts as not set',
    ])
    expect(say('{"ca": null}', checks)).toEqual([`1:2: ca: ${why}`])
    expect([...decodeConfig('other = ""', checks).emptied.keys()]).toEqual(['other'])
  })

  it('never shows a key that stands where a path or another value should [config:secret:unseen]', () => {
    const schema = defineSchema({
      file: { kind: 'string', path: true, help: 'h' },
      mode: { kind: 'string', oneOf: ['a'], help: 'h' },
      text: { kind: 'string', check: (value) => `is not ${value}`, help: 'h' },
      count: { kind: 'integer', help: 'h' },
      flag: { kind: 'boolean', help: 'h' },
      wait: { kind: 'duration', help: 'h' },
      list: { kind: 'string_list', help: 'h' },
    })
    const key = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n'
    for (const pem of [key, key.replaceAll('\n', ''), key.replaceAll('\n', '\\n'), `x ${key}`]) {
      for (const name of Object.keys(schema.fields)) {
        const [problem = '', ...others] = say(JSON.stringify({ [name]: pem }), schema)
        expect(problem).toMatch(/PEM text/)
        expect([problem, ...others].join()).not.toMatch(/c2Vj|BEGIN|\n/)
      }
      expect(say(JSON.stringify({ list: [pem] }), schema).join()).toMatch(/^\S+ list: expected a value, found PEM text/)
    }
    expect(say(`file = <<E\n${key}E\n`, schema)).toEqual([
      '1:8: file: expected a path, found PEM text; write it to a file and name that file here',
    ])
  })

  it('takes no path of several lines, with control characters, or longer than a path can be', () => {
    const schema = defineSchema({ file: { kind: 'string', path: true, help: 'h' } })
    expect(say('file = "/a\\nb"', schema)).toEqual([
      '1:8: file: expected a path, found text of 2 lines; write it to a file and name that file here',
    ])
    expect(say('file = "/a\\tb"', schema)[0]).toMatch(/^1:8: file: expected a path, found the string/)
    expect(say(`file = "/${'a'.repeat(4_095)}"`, schema)).toEqual(['1:8: file: expected a path of at most 4095 bytes'])
    expect(say('file = "/a b/\u00e4"', schema)).toEqual([])
  })

  it('takes JSON, with null as not given', () => {
    const decoded = decodeConfig('{"port": "443", "flag": true, "text": null, "list": ["x", 1]}', every)
    expect(decoded.problems).toEqual([])
    expect(decoded.values).toMatchObject({ port: 443, flag: true, text: undefined, list: ['x', '1'] })
    expect([...decoded.given]).toEqual(['port', 'flag', 'list'])
  })

  it('takes what SPIRE prints from JSON plugin_data', () => {
    const decoded = decodeConfig('"text" = "x"\n\n"port" = 1\n\n"list" = ["a", "b"]', every)
    expect(decoded.problems).toEqual([])
    expect(decoded.values).toMatchObject({ text: 'x', port: 1, list: ['a', 'b'] })
  })

  it('gives every key its type', () => {
    const { values, given } = decodeConfig('', every)
    expectTypeOf(values.text).toEqualTypeOf<string | undefined>()
    expectTypeOf(values.mode).toEqualTypeOf<'strict' | 'shadow'>()
    expectTypeOf(values.port).toEqualTypeOf<number | undefined>()
    expectTypeOf(values.flag).toEqualTypeOf<boolean | undefined>()
    expectTypeOf(values.wait).toEqualTypeOf<number>()
    expectTypeOf(values.list).toEqualTypeOf<readonly string[]>()
    expectTypeOf(values.algs).toEqualTypeOf<readonly ('sha256' | 'sha384')[] | undefined>()
    expectTypeOf(given).toEqualTypeOf<ReadonlySet<keyof (typeof every)['fields']>>()
    expect(values).toEqual({ mode: 'strict', wait: 5000, list: ['a'] })
  })

  it('refuses a configuration of another kind than an object', () => {
    expect(say('"x"', every)).toEqual(['1:4: expected "=" or "{" after key "x", found the end of the text'])
    expect(say('[1]', every)).toEqual(['1:1: expected a key, found "["'])
  })

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'refuses the key %s like any unknown one',
    (key) => {
      expect(say(`${key} = 1`, every)[0]).toContain('unknown key')
      expect(say(`{"${key}": 1}`, every)[0]).toContain('unknown key')
    },
  )
})

describe('the coercions of decodeConfig', () => {
  it.each<[string, unknown]>([
    ['text = "x"', { text: 'x' }],
    ['text = 5', { text: '5' }],
    ['text = 0x1F', { text: '0x1F' }],
    ['text = 08', { text: '08' }],
    ['text = <<E\nx\nE\n', { text: 'x\n' }],
    ['any_count = 017', { any_count: 15 }],
    ['any_count = "0x10"', { any_count: 16 }],
    ['any_count = "1_000"', { any_count: 1000 }],
    ['any_count = -7', { any_count: -7 }],
    ['any_count = "+7"', { any_count: 7 }],
    ['port = 65535', { port: 65_535 }],
    ['wait = "1m"', { wait: 60_000 }],
    ['wait = "100ms"', { wait: 100 }],
    ['list = []', { list: [] }],
    ['list = [5, "x",]', { list: ['5', 'x'] }],
    ['host_port = "a:1"', { host_port: 'a:1' }],
    ['even = "ab"', { even: 'ab' }],
    ['count = 10', { count: 10 }],
  ])('take %j', (text, expected) => {
    const decoded = decodeConfig(text, every)
    expect(decoded.problems.map(String)).toEqual([])
    expect(decoded.values).toMatchObject(expected as object)
  })

  it.each([
    ['text = true', '1:8: text: expected a string, found true'],
    ['text = 1.5', '1:8: text: expected a string, found the number 1.5'],
    ['text = ["x"]', '1:8: text: expected a string, found a list'],
    ['text { }', '1:6: text: expected a string, found a block'],
    ['text "x" { }', '1:10: text: expected a string, found a block'],
    ['any_count = 1.5', '1:13: any_count: expected a whole number, found the number 1.5'],
    ['any_count = 1e3', '1:13: any_count: expected a whole number, found the number 1e3'],
    ['any_count = 08', '1:13: any_count: expected a whole number, found the number 08'],
    ['any_count = "8881 "', '1:13: any_count: expected a whole number, found the string "8881 "'],
    ['any_count = "http"', '1:13: any_count: expected a whole number, found the string "http"'],
    ['any_count = <<E\n5\nE\n', '1:13: any_count: expected a whole number, found the string "5\\n"'],
    ['any_count = 9007199254740993', '1:13: any_count: expected a whole number, found the number 9007199254740993'],
    ['any_count = true', '1:13: any_count: expected a whole number, found true'],
    ['count = 1', '1:9: count: expected a whole number from 2 to 10, found the number 1'],
    ['least = 4', '1:9: least: expected a whole number of at least 5, found the number 4'],
    ['most = 6', '1:8: most: expected a whole number of at most 5, found the number 6'],
    ['port = -1', '1:8: port: expected a port number from 1 to 65535, found the number -1'],
    ['flag = 1', '1:8: flag: expected true or false, found the number 1'],
    ['flag = "yes"', '1:8: flag: expected true or false, found the string "yes"'],
    ['flag = "True"', '1:8: flag: expected true or false, found the string "True"; write true without quotes'],
    ['wait = 5', '1:8: wait: the number 5 has no unit; write "5s" for seconds'],
    ['wait = "soon"', '1:8: wait: the string "soon" is not a duration; write it as "5s", "1m30s" or "500ms"'],
    ['wait = "99ms"', '1:8: wait: expected a duration from 100ms to 1m, found the string "99ms"'],
    ['wait = "1h"', '1:8: wait: expected a duration from 100ms to 1m, found the string "1h"'],
    ['wait = true', '1:8: wait: expected a duration such as "5s", found true'],
    ['list = "x"', '1:8: list: expected a list of strings, found the string "x"; write ["x"]'],
    ['list = 5', '1:8: list: expected a list of strings, found the number 5; write ["5"]'],
    ['list = true', '1:8: list: expected a list of strings, found true'],
    ['list { }', '1:6: list: expected a list of strings, found a block'],
    ['list = [["x"]]', '1:9: list: expected a string in the list, found a list'],
    ['list = ["x", ""]', '1:14: list: expected a string in the list, found the string ""'],
    ['list = [true]', '1:9: list: expected a string in the list, found true'],
    ['algs = []', '1:8: algs: expected a list of from 1 to 2, found 0'],
    ['host_port = "a"', '1:13: host_port: expected "host:port", found the string "a"'],
    ['host_port = "a:1 "', '1:13: host_port: expected "host:port", found the string "a:1 "'],
    ['even = "abc"', '1:8: even: has an odd length'],
  ])('refuse %j and say what was found', (text, message) => {
    expect(say(text, every)).toEqual([message])
  })

  it('shorten what they show', () => {
    const [message = ''] = say(`port = "${'x'.repeat(10_000)}"`, every)
    expect(message).toHaveLength('1:8: port: expected a port number, found the string '.length + 63)
  })
})

describe('required keys and blocks', () => {
  const nested = defineSchema({
    name: { kind: 'string', required: true, help: 'h' },
    limits: {
      kind: 'block',
      help: 'h',
      fields: {
        rate: { kind: 'integer', required: true, help: 'h' },
        burst: { kind: 'integer', default: 5, help: 'h' },
        window: { kind: 'block', help: 'h', fields: { length: { kind: 'duration', default: '1s', help: 'h' } } },
      },
    },
  })

  it('are missed with the place of their block', () => {
    expect(say('', nested)).toEqual(['1:1: name: required, but not set'])
    expect(say('name = ""', nested)).toEqual(['1:1: name: required, but not set'])
    expect(say('\n\nname = "x"\nlimits { }', nested)).toEqual(['4:1: limits.rate: required, but not set'])
  })

  it('are not missed when they are only wrong', () => {
    expect(say('name = true', nested)).toEqual(['1:8: name: expected a string, found true'])
  })

  it.each([
    ['one block', 'name = "x" limits { rate = 1 burst = 2 }'],
    ['an object set with "="', 'name = "x" limits = { rate = 1 burst = 2 }'],
    ['two blocks, merged', 'name = "x" limits { rate = 1 } limits { burst = 2 }'],
    ['JSON', '{"name": "x", "limits": {"rate": 1, "burst": 2}}'],
    ['JSON with a list of objects, merged', '{"name": "x", "limits": [{"rate": 1}, {"burst": 2}]}'],
  ])('are read from %s', (_name, text) => {
    const decoded = decodeConfig(text, nested)
    expect(decoded.problems.map(String)).toEqual([])
    expect(decoded.values).toEqual({ name: 'x', limits: { rate: 1, burst: 2 } })
  })

  it('are read from labels, as SPIRE prints a JSON object of objects', () => {
    const decoded = decodeConfig(
      '"name" = "x"\n"limits" "window" {\n  "length" = "2s"\n}\n"limits" {\n "rate" = 1\n}',
      nested,
    )
    expect(decoded.problems.map(String)).toEqual([])
    expect(decoded.values.limits).toEqual({ rate: 1, burst: 5, window: { length: 2000 } })
  })

  it('say the whole path of a problem', () => {
    expect(say('name = "x"\nlimits {\n rat = 1\n rate = 2\n burst = "x"\n window { length = 5 }\n}', nested)).toEqual([
      '3:2: limits.rat: unknown key; did you mean "rate"?',
      '5:10: limits.burst: expected a whole number, found the string "x"',
      '6:20: limits.window.length: the number 5 has no unit; write "5s" for seconds',
    ])
    expect(say('name = "x" limits = 5', nested)).toContain(
      '1:21: limits: expected a block in braces, found the number 5',
    )
    expect(say('name = "x" limits { rate = 1 } limits { rate = 2 }', nested)).toEqual([
      '1:41: limits.rate: already set at 1:21',
    ])
  })
})
