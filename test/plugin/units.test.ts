import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const packaging = resolve(import.meta.dirname, '../../packaging/systemd')
const tree = mkdtempSync(join(tmpdir(), 'tower-units-'))
const SYSTEM = 'usr/lib/systemd/system'

afterAll(() => rmSync(tree, { recursive: true }))

/** Units of SPIRE, as small as they come; the drop-ins are ours. */
const SPIRE = { 'spire-agent': ['spire-agent', 'spire-agent-tpm'], 'spire-server': ['spire-server'] } as const

/** How exposed each may be, by systemd's own measure from 0 to 10: a unit without any sandbox has 9.6. */
const EXPOSURE = {
  'towerkeep-watch.service': 2.5,
  'towerkeep-renew.service': 3.7,
  'towerkeep-windows.service': 3.1,
  'spire-agent.service': 5.4,
  'spire-server.service': 4.9,
} as const

function put(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true })
  writeFileSync(join(tree, path), text)
  chmodSync(join(tree, path), mode)
}

function analyze(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

/** Undefined where systemd-analyze can look at a folder; offline it needs systemd 250. */
function whyNot(): string | undefined {
  const found = spawnSync('systemd-analyze', ['--version'], { encoding: 'utf8' })
  if (found.status !== 0) return 'no systemd-analyze on this machine'
  const version = Number(/^systemd (\d+)/.exec(found.stdout)?.[1])
  return version >= 250 ? undefined : `systemd ${version} cannot look at a folder`
}

const why = whyNot()

describe.skipIf(why !== undefined)(`the units${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  beforeAll(() => {
    // Targets that units are ordered by; systemd's own.
    for (const target of readdirSync(`/${SYSTEM}`).filter((name) => name.endsWith('.target')))
      put(join(SYSTEM, target), readFileSync(`/${SYSTEM}/${target}`, 'utf8'))
    for (const unit of globSync('towerkeep*', { cwd: packaging }))
      cpSync(join(packaging, unit), join(tree, SYSTEM, unit))
    for (const [name, dropIns] of Object.entries(SPIRE)) {
      put(`${SYSTEM}/${name}.service`, `[Service]\nExecStart=/usr/bin/${name} run\nUser=spire\n`)
      for (const one of dropIns)
        cpSync(join(packaging, `${one}.conf`), join(tree, `etc/systemd/system/${name}.service.d/${one}.conf`))
    }
    for (const program of ['usr/bin/towerkeep', 'usr/bin/spire-agent', 'usr/bin/spire-server', 'bin/kill'])
      put(program, '#!/bin/sh\n', 0o755)
  })

  it('are all here', () => {
    expect([...globSync('*.service', { cwd: packaging })].toSorted()).toEqual(
      Object.keys(EXPOSURE)
        .filter((name) => name.startsWith('towerkeep'))
        .toSorted(),
    )
    expect([...globSync('*.conf', { cwd: packaging })].toSorted()).toEqual(
      Object.values(SPIRE)
        .flat()
        .map((name) => `${name}.conf`)
        .toSorted(),
    )
  })

  it('and their drop-ins leave systemd nothing to say [operator:units:verified]', () => {
    const units = [...Object.keys(EXPOSURE), ...globSync('*.timer', { cwd: packaging })]
    const { status, said } = analyze('verify', '--man=no', `--root=${tree}`, ...units)
    // Of the targets it may have something to say, which are the machine's.
    expect([status, said.split('\n').filter((line) => /towerkeep|spire/.test(line))]).toEqual([0, []])
  })

  it.each(Object.entries(EXPOSURE))('expose %s to at most %d of 10 [operator:units:verified]', (unit, most) => {
    const { said } = analyze('security', '--offline=true', '--no-pager', `--root=${tree}`, unit)
    const exposure = Number(/exposure level for \S+: (\d+\.\d)/.exec(said)?.[1])
    expect([exposure > 0, exposure <= most, said.slice(-200)]).toEqual([true, true, expect.any(String)])
  })

  it('would be found with a key that does not exist', () => {
    put(`${SYSTEM}/wrong.service`, '[Service]\nExecStart=/usr/bin/towerkeep\n')
    appendFileSync(join(tree, SYSTEM, 'wrong.service'), 'ProtectHomes=yes\n')
    expect(analyze('verify', '--man=no', `--root=${tree}`, 'wrong.service').said).toContain(
      "Unknown key 'ProtectHomes'",
    )
  })
})
