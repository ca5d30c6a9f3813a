import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { completionScript, SHELLS } from '../../../operator/flags/completion.ts'
import { manPages } from '../../../operator/flags/man.ts'
import { parseCommandLine } from '../../../operator/flags/program.ts'
import { flagsOf, shownVerbs, VERBS } from '../../../operator/flags/verbs.ts'
import { OperatorError } from '../../../operator/operator-error.ts'
import { HELP_DOCUMENT } from '../../../operator/schemas/reading.ts'
import { towerkeep } from './towerkeep.ts'

const refused = (...words: readonly string[]): string => {
  try {
    parseCommandLine(words, '1.0.0')
  } catch (error) {
    if (error instanceof OperatorError) return `${error.exit} ${error.message}`
    throw error
  }
  return 'taken'
}

describe('the command line', () => {
  it('gives each flag its typed value, and its default', () => {
    const parsed = parseCommandLine(['status', 'auth', 'ca', '--wait', '--within', '5m', '-o', 'json', '-q'], '1.0.0')
    expect(parsed).toMatchObject({
      verb: 'status',
      words: ['auth', 'ca'],
      flags: { wait: true, watch: false, within: 300_000, output: 'json', quiet: true, timeout: 10_000, for: 'fresh' },
    })
  })

  it('takes the common flags before the verb too', () => {
    expect(parseCommandLine(['-o', 'json', 'status'], '1.0.0')).toMatchObject({ flags: { output: 'json' } })
    expect(parseCommandLine(['status', '-o', 'short'], '1.0.0')).toMatchObject({ flags: { output: 'short' } })
  })

  it('gives every flag after a verb to that verb, though its first word is a verb too', () => {
    const values: Readonly<Record<string, string>> = { duration: '7s', integer: '7', number: '0.5' }
    const ignored = VERBS.flatMap((verb) => {
      const words = [
        ...verb.name.split(' '),
        ...verb.arguments.filter(({ required }) => required === true).map(() => 'word'),
      ]
      const valueOf = (name: string, more: readonly string[] = []): unknown => {
        const parsed = parseCommandLine([...words, ...more], '1.0.0')
        return 'flags' in parsed ? parsed.flags[name] : undefined
      }
      const given = Object.entries(flagsOf(verb)).map(([name, flag]) => {
        const other = flag.kind === 'choice' ? flag.choices.find((choice) => choice !== valueOf(name)) : undefined
        const value = other ?? values[flag.kind] ?? 'text'
        return { name, words: [`--${name}`, ...(flag.kind === 'switch' ? [] : [value])] }
      })
      return given
        .filter(({ name, words: more }) => valueOf(name, more) === valueOf(name))
        .map(({ words: more }) => [...words, ...more].join(' '))
    })
    expect(ignored).toEqual([])
    expect(parseCommandLine(['renew', '--force', 'devid'], '1.0.0')).toMatchObject({
      verb: 'renew devid',
      flags: { force: true, 'dry-run': false },
    })
    expect(refused('renew', '--certs', '/etc/x', 'devid')).toBe("64 unknown option '--certs'")
  })

  it('says what was probably meant', () => {
    expect(refused('stauts')).toBe("64 unknown command 'stauts' (Did you mean status?)")
    expect(refused('status', '--wiat')).toBe("64 unknown option '--wiat' (Did you mean --wait?)")
    expect(refused('explain')).toBe("64 missing required argument 'WHAT'")
    expect(refused('status', '--within', '1y')).toMatch(/^64 --within 1y: is not a duration/)
    expect(refused('status', '--within', '0s')).toBe('64 --within 0s: expected 1s to 1h')
    expect(refused('status', '--for', 'ever')).toBe('64 --for ever: expected one of fresh, attested')
  })

  it('takes any words without ever throwing anything but an error with exit code 64', () => {
    const word = oneof(
      string(),
      constantFrom(...VERBS.map(({ name }) => name), '--output', 'json', '-o', '--', '--help', '--within', '3s', '-v'),
    )
    assert(
      property(array(word, { maxLength: 6 }), (words) => {
        // Anything but an OperatorError would be thrown on by it.
        expect(refused(...words)).toMatch(/^(taken$|64 )/)
      }),
    )
  })

  it('puts errors into the JSON document when JSON is asked for, and nothing else on standard output', async () => {
    const ran = await towerkeep('status', '--nonsense', '--output', 'json')
    expect(JSON.parse(ran.stdout)).toMatchObject({
      schema: 'towerkeep/error/v1',
      exit: 64,
      error: { code: 'TK-USAGE', message: "unknown option '--nonsense'" },
    })
    expect([ran.exit, ran.stderr]).toEqual([64, ''])
    const text = await towerkeep('status', '--nonsense')
    expect([text.exit, text.stdout, text.stderr]).toEqual([
      64,
      '',
      "towerkeep: unknown option '--nonsense' [TK-USAGE]\n",
    ])
  })

  it('describes itself as data', async () => {
    const ran = await towerkeep('help', '--output', 'json')
    const document = v.parse(HELP_DOCUMENT, JSON.parse(ran.stdout))
    expect(document.items.map(({ name }) => name)).toEqual(shownVerbs().map(({ name }) => name))
  })
})

describe('what is made of the table', () => {
  it('describes every verb and flag in one sentence, and nothing twice', () => {
    for (const verb of shownVerbs()) {
      expect(verb.summary).toMatch(/^[a-z].*[^.]$/)
      for (const flag of Object.values(flagsOf(verb))) expect(flag.help).toMatch(/^[A-Z].*\.$/s)
    }
    const short = shortLetters()
    expect(new Set(short).size).toBe(short.length)
  })

  it('has a manual page for each verb, which troff reads without a complaint', () => {
    const folder = mkdtempSync(join(tmpdir(), 'man-'))
    for (const [name, text] of manPages()) writeFileSync(join(folder, name), text)
    expect(readdirSync(folder)).toHaveLength(shownVerbs().length + 1)
    for (const name of hasGroff ? readdirSync(folder) : []) {
      const { stderr, stdout } = spawnSync('groff', ['-man', '-Tutf8', '-ww', join(folder, name)], { encoding: 'utf8' })
      expect([name, stderr]).toEqual([name, ''])
      expect(stdout).toContain('TOWERKEEP')
    }
    rmSync(folder, { recursive: true })
  })

  it.each(SHELLS)('completes in %s, by a script that the shell takes', (shell) => {
    const script = completionScript(shell)
    for (const verb of shownVerbs()) expect(script).toContain(verb.name.split(' ').at(-1))
    const isHere = spawnSync(shell, ['--version']).status === 0
    const { status, stderr } = spawnSync(isHere ? shell : 'true', ['-n'], { input: script, encoding: 'utf8' })
    expect([status, stderr]).toEqual([0, ''])
  })

  it('completes verbs, flags and values in a real bash', () => {
    expect(complete('sta')).toEqual(['status'])
    expect(complete('status', '--wa')).toEqual(['--watch', '--wait'])
    expect(complete('status', '--output', '')).toEqual(['text', 'json', 'short'])
    expect(complete('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(complete('status', '--config', '/etc/host')).toContain('/etc/hosts')
  })

  it('runs nothing that the name of a host or of a file holds [operator:names:inert]', () => {
    const folder = mkdtempSync(join(tmpdir(), 'completion-'))
    try {
      const [ran, name] = [join(folder, 'ran'), '$(touch${IFS}ran)']
      writeFileSync(join(folder, name), '')
      const hosts = `towerkeep() { printf '%s\\n' '${name}' 'auth two' auth; }`
      expect(completeWith({ before: hosts, cwd: folder }, 'explain', '')).toEqual([name, 'auth two', 'auth'])
      expect(completeWith({ before: hosts, cwd: folder }, 'explain', 'au')).toEqual(['auth two', 'auth'])
      expect(completeWith({ before: hosts, cwd: folder }, 'status', '--config', '')).toEqual([name])
      expect(existsSync(ran)).toBe(false)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

const hasGroff = spawnSync('groff', ['--version']).status === 0

function shortLetters(): readonly string[] {
  const [first] = shownVerbs()
  return first === undefined
    ? []
    : Object.values(flagsOf(first)).flatMap(({ short }) => (short === undefined ? [] : [short]))
}

/** What bash would offer after these words. */
function complete(...words: readonly string[]): string[] {
  return completeWith({}, ...words)
}

/** The same after lines of bash, in a folder. */
function completeWith(
  { before = '', cwd }: { readonly before?: string; readonly cwd?: string },
  ...words: readonly string[]
): string[] {
  const line = words.map((word) => `'${word}'`).join(' ')
  const call = `COMP_WORDS=(towerkeep ${line}); COMP_CWORD=${words.length}; _towerkeep; printf '%s\\n' "\${COMPREPLY[@]}"`
  const script = [completionScript('bash'), before, call].join('\n')
  const { stdout } = spawnSync('bash', ['-c', script], { encoding: 'utf8', ...(cwd !== undefined && { cwd }) })
  return stdout.split('\n').filter(Boolean)
}
