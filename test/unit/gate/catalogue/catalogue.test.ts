import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  CATALOGUE,
  type CatalogueEntry,
  type ErrorCode,
  messageOf,
} from '../../../../plugins/gate/catalogue/catalogue.ts'

const root = resolve(import.meta.dirname, '../../../..')
const read = (pattern: string | string[], except: RegExp): string =>
  globSync(pattern, { cwd: root })
    .filter((path) => !except.test(path))
    .map((path) => readFileSync(resolve(root, path), 'utf8'))
    .join('\n')

const sources = read(
  ['server-attestor/**/*.ts', 'agent-attestor/**/*.ts', 'plugins/gate/*.ts', 'plugins/keylime/basis/*.ts'],
  /catalogue/,
)
const tests = read('test/**/*.test.ts', /catalogue\.test/)
const docs = readFileSync(resolve(root, 'docs/errors.md'), 'utf8')
const codes = Object.keys(CATALOGUE) as ErrorCode[]
const entries = Object.entries<CatalogueEntry>(CATALOGUE)

describe('CATALOGUE', () => {
  it('holds only codes that something throws', () => {
    expect(codes.filter((code) => !sources.includes(`'${code}'`))).toEqual([])
  })

  it('holds only codes that a test has seen', () => {
    expect(codes.filter((code) => !tests.includes(code))).toEqual([])
  })

  it('is documented whole [T50]', () => {
    expect(codes.filter((code) => !docs.includes(`\n### ${code}\n`))).toEqual([])
  })

  it('says of each code a cause and a next step, and its message in one lower-case line without a final period', () => {
    const odd = entries.filter(
      ([code, { message, cause, next }]) =>
        !/^KL-[A-Z0-9]+(-[A-Z0-9]+)*$/.test(code) ||
        !/^[^\nA-Z].*[^.\n]$/.test(message) ||
        !/^.{10,}\.$/.test(cause) ||
        !/^.{6,}\.$/.test(next),
    )
    expect(odd.map(([code]) => code)).toEqual([])
  })

  it('lets only verdicts end a starting SPIRE agent', () => {
    const deadly = entries.filter(([, { status }]) => status === 'PERMISSION_DENIED').map(([code]) => code)
    expect(deadly.filter((code) => !/^KL-(GATE|POLICY|ID|EK|QUOTE|PCR|PUSH)-/.test(code))).toEqual([])
  })
})

describe('messageOf', () => {
  it('fills every placeholder, in one line', () => {
    expect(messageOf('KL-GATE-STALE', { age_s: 95, limit_s: 30 })).toBe(
      'last successful attestation is 95 s old, the limit is 30 s',
    )
    expect(messageOf('KL-GATE-FAILED', { event: 'a\nb\u2028c' })).toBe(
      'keylime could not verify it: state 7 FAILED, last event a b c',
    )
  })
})
