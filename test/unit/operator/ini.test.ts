import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { array, assert, constantFrom, property, string, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IniError, iniValue, parseIni } from '../../../operator/site/ini.ts'

const fixtures = join(import.meta.dirname, '../../fixtures/keylime-conf')

describe('an INI file', () => {
  it('is read by the rules of RawConfigParser', () => {
    const file = parseIni(
      '# comment\n[verifier]\nIP = 127.0.0.1\nport: 8881\nlist = [\n    "a",\n\n    # not a value\n    "b" ]\nempty =\n' +
        '[revocations]\nwebhook_url = https://127.0.0.1:9443/keylime ; no comment\n',
    )
    expect(iniValue(file, 'verifier', 'ip')).toEqual({ text: '127.0.0.1', line: 3 })
    expect(iniValue(file, 'verifier', 'port')?.text).toBe('8881')
    expect(iniValue(file, 'verifier', 'list')?.text).toBe('[\n"a",\n\n"b" ]')
    expect(iniValue(file, 'verifier', 'empty')?.text).toBe('')
    expect(iniValue(file, 'revocations', 'webhook_url')?.text).toBe('https://127.0.0.1:9443/keylime ; no comment')
    expect(iniValue(file, 'registrar', 'ip')).toBeUndefined()
  })

  it('shows [DEFAULT] in every section', () => {
    const file = parseIni('[DEFAULT]\na = 1\n[x]\nb = 2\n')
    expect([iniValue(file, 'x', 'a')?.text, iniValue(file, 'x', 'b')?.text]).toEqual(['1', '2'])
  })

  it('is refused where Python refuses it, with the line', () => {
    expect(refused('[a]\nx = 1\nX = 2\n')).toBe('3: key "x" stands twice in [a]: Python refuses the whole file')
    expect(refused('[a]\n[b]\n[a]\n')).toBe('3: section [a] stands twice: Python refuses the whole file')
    expect(refused('x = 1\n')).toBe('1: a line stands before the first [section]')
    expect(refused('[a]\nnothing\n')).toBe('2: expected "key = value" or "[section]"')
    expect(refused('[a]\n= 1\n')).toBe('2: the key is empty')
  })

  it.each(['verifier', 'registrar', 'tenant', 'ca', 'logging'])("reads Keylime's own %s.conf", (name) => {
    const file = parseIni(readFileSync(join(fixtures, `${name}.conf`), 'utf8'))
    expect(file.sections.size).toBeGreaterThan(0)
  })
})

const python = ['python3', join(homedir(), '.cache/tower-of-omens/keylime-7.14.3/bin/python3')].find(
  (program) => spawnSync(program, ['--version']).status === 0,
)

describe.runIf(python !== undefined && existsSync('/usr'))('against Python itself', () => {
  it('gives the same values, or refuses as Python does, for 2,000 random files', () => {
    const piece = constantFrom(
      '[a]',
      '[b]',
      '[DEFAULT]',
      ' [c]',
      'x = 1',
      'X: 2',
      'y=',
      '  more',
      '\tmore = 2',
      '# c',
      '  ; c',
      '',
      '   ',
      'z = a = b',
      'no delimiter',
      '= v',
      '[a] tail',
      'k:v;c',
      '\u00a0s = 1',
      '\u001ct = 1\u0085',
      '\ufeffu = 1',
    )
    const texts: string[] = []
    assert(
      property(array(tuple(piece, constantFrom('\n', '\r\n', '\n\n')), { maxLength: 12 }), string(), (lines, tail) => {
        texts.push(`${lines.map((pair) => pair.join('')).join('')}${tail.replaceAll('\0', '')}`)
      }),
      { numRuns: 2_000 },
    )
    const asked = spawnSync(python ?? '', ['-c', PYTHON], { input: JSON.stringify(texts), encoding: 'utf8' })
    const answers = JSON.parse(asked.stdout) as (Record<string, Record<string, string>> | null)[]
    const ours = texts.map((text) => {
      try {
        const { sections } = parseIni(text)
        return Object.fromEntries(
          [...sections].map(([name, values]) => [
            name,
            Object.fromEntries([...values].map(([key, value]) => [key, value.text])),
          ]),
        )
      } catch (error) {
        if (error instanceof IniError) return null
        throw error
      }
    })
    for (const [index, text] of texts.entries()) {
      expect({ text, read: withoutEmptyDefault(ours[index] ?? null) }).toEqual({
        text,
        read: withoutEmptyDefault(answers[index] ?? null),
      })
    }
  })
})

function withoutEmptyDefault(read: Record<string, Record<string, string>> | null): unknown {
  if (read === null) return null
  return Object.fromEntries(
    Object.entries(read).filter(([name, values]) => name !== 'DEFAULT' || Object.keys(values).length > 0),
  )
}

const PYTHON = `
import configparser, io, json, sys
out = []
for text in json.load(sys.stdin):
    parser = configparser.RawConfigParser()
    try:
        parser.read_file(io.StringIO(text, newline=None))
        read = {name: dict(values) for name, values in parser._sections.items()}
        read['DEFAULT'] = dict(parser._defaults)
        out.append(read)
    except configparser.Error:
        out.append(None)
    except Exception:
        out.append(None)
json.dump(out, sys.stdout)
`

/** Line and reason of a refusal. */
function refused(text: string): string {
  try {
    parseIni(text)
  } catch (error) {
    if (error instanceof IniError) return `${error.line}: ${error.message}`
    throw error
  }
  return 'read'
}
