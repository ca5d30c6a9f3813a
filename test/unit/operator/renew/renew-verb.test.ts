import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { towerkeep } from '../towerkeep.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'renew-verb-'))
  mkdirSync(join(folder, 'certs.d'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string): string => join(folder, name)

/** Describes a certificate that signs itself, so that nobody has to be asked. */
function describeCert(name: string, lines: readonly string[] = []): void {
  const text = [
    `cert_file = "${at(`${name}.crt`)}"`,
    `key_file = "${at(`${name}.key`)}"`,
    `common_name = "${name}"`,
    'issuer = "self"',
    ...lines,
  ]
  writeFileSync(at(`certs.d/${name}.hcl`), text.join('\n'))
}

/** What `renew --all` ends with, and how it says each certificate went. */
async function renewAll(): Promise<{ readonly exit: number; readonly outcomes: readonly string[] }> {
  const folders = ['--certs', at('certs.d'), '--journal', at('journal')]
  const ran = await towerkeep('renew', '--all', '--yes', '--output', 'json', ...folders)
  const { items } = JSON.parse(ran.stdout) as { items: readonly { cert: string; outcome: string; exit: number }[] }
  return { exit: ran.exit, outcomes: items.map(({ cert, outcome, exit }) => `${cert} ${outcome} ${exit}`) }
}

describe('renew', () => {
  it('ends as its worst certificate does, whatever code that is', async () => {
    describeCert('a')
    describeCert('b', ['owner = "no-such-user:no-such-group"'])
    expect(await renewAll()).toEqual({ exit: 64, outcomes: ['a done 0', 'b undone 64'] })
  })

  it.each([
    ['unknown_key = 1', /b\.hcl:\d+:\d+: unknown_key: /],
    ['handshake_cert_file = "/c"', /b\.hcl:1:1: handshake_cert_file: set both/],
  ])('renews the others beside a wrong file, and names file and key: %s', async (line, problem) => {
    describeCert('a')
    describeCert('b', [line])
    describeCert('c')
    const outcomes = ['b invalid 64', 'a done 0', 'c done 0']
    expect(await renewAll()).toEqual({ exit: 64, outcomes })
    expect([existsSync(at('a.crt')), existsSync(at('b.crt')), existsSync(at('c.crt'))]).toEqual([true, false, true])
    const folders = ['--certs', at('certs.d'), '--journal', at('journal'), '--yes']
    const told = await towerkeep('renew', 'b', ...folders)
    expect([told.exit, told.stdout]).toEqual([64, expect.stringMatching(problem)])
    expect((await towerkeep('renew', 'a', ...folders)).exit).toBe(0)
  })

  it('makes both files anew when the key is gone or belongs to another certificate', async () => {
    describeCert('a')
    describeCert('b')
    await renewAll()
    expect(await renewAll()).toEqual({ exit: 0, outcomes: ['a not-due 0', 'b not-due 0'] })
    writeFileSync(at('a.key'), readFileSync(at('b.key')))
    rmSync(at('b.key'))
    expect(await renewAll()).toEqual({ exit: 0, outcomes: ['a done 0', 'b done 0'] })
    expect(await renewAll()).toEqual({ exit: 0, outcomes: ['a not-due 0', 'b not-due 0'] })
  })
})
