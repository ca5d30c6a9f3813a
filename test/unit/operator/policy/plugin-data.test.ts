import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatorError } from '../../../../operator/operator-error.ts'
import { type RunOutcome, runPlan } from '../../../../operator/plan/run.ts'
import type { Plan } from '../../../../operator/plan/step.ts'
import { pluginDataPlan } from '../../../../operator/policy/plugin-data.ts'
import { discoverSite } from '../../../../operator/site/site.ts'

const DATA = [
  'keylime_verifier_host = "verifier.example.org"',
  'keylime_registrar_host = "registrar.example.org"',
  'keylime_tls_ca_cert_file = "/etc/keylime/certs/ca.crt"',
  'keylime_tls_cert_file = "/etc/keylime/certs/plugin.crt"',
  'keylime_tls_key_file = "/etc/keylime/certs/plugin.key"',
  '',
].join('\n')
const NEXT = `${DATA}require_policy = ["pcr:7"]\n`

let folder: string
const children: ChildProcess[] = []
const at = (path: string): string => join(folder, path)
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plugin-data-'))
  mkdirSync(at('proc'))
  writeFileSync(at('server.conf'), serverConf('plugin_data_file = "data.hcl"'))
  writeFileSync(at('data.hcl'), DATA)
  chmodSync(at('data.hcl'), 0o640)
  writeFileSync(at('next.hcl'), NEXT)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

function serverConf(line: string): string {
  return `server {}\nplugins {\n  NodeAttestor "keylime" {\n    plugin_cmd = "/usr/bin/x"\n    ${line}\n  }\n}\n`
}

// Says when it is ready, and what it reads of its file at each signal, as SPIRE would.
const LISTENER = `
  const { readFileSync } = require('node:fs')
  process.on('SIGUSR1', () => console.log(readFileSync(process.argv[1], 'utf8').length))
  setInterval(() => undefined, 1000)
  console.log('ready')
`

/** A real process that our /proc shows under a command line of SPIRE's. */
async function run(words: readonly string[], script = LISTENER): Promise<ChildProcess & { readonly heard: string[] }> {
  const child = spawn(process.execPath, ['-e', script, at('data.hcl')], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const heard: string[] = []
  child.stdout.on('data', (chunk) => heard.push(...String(chunk).trim().split('\n')))
  await once(child.stdout, 'data')
  mkdirSync(at(`proc/${child.pid}`))
  writeFileSync(at(`proc/${child.pid}/cmdline`), words.map((word) => `${word}\0`).join(''))
  symlinkSync(folder, at(`proc/${child.pid}/cwd`))
  return Object.assign(child, { heard })
}

const serve = (conf = 'server.conf') => run(['/opt/spire/bin/spire-server', 'run', '-config', at(conf)])

function planned(file = at('next.hcl')): Plan {
  return pluginDataPlan(discoverSite({ root: folder, procFolder: at('proc'), configFile: undefined }), file)
}

function carryOut(plan: Plan): Promise<RunOutcome> {
  const signal = new AbortController().signal
  return runPlan(plan, { dryRun: false, yes: true, journalFolder: at('journal'), say: () => undefined, signal })
}

const refusal = (file?: string): OperatorError => {
  try {
    planned(file)
  } catch (error) {
    if (error instanceof OperatorError) return error
  }
  throw new Error('it was not refused')
}

describe('policy apply', () => {
  it('replaces the file that SPIRE reads, mode and all, and tells that server alone', async () => {
    writeFileSync(at('other.conf'), serverConf('plugin_data_file = "other.hcl"'))
    const server = await serve()
    const other = await serve('other.conf')
    // A command of SPIRE's own ends by this signal.
    const command = await run(['spire-server', 'agent', 'list'], "console.log('ready'); setInterval(() => 0, 1000)")
    const heard = once(server.stdout ?? server, 'data')
    const done = await carryOut(planned())
    await heard
    expect([done.exit, done.steps[0]?.facts]).toEqual([0, { file: at('data.hcl'), told: String(server.pid) }])
    expect([readFileSync(at('data.hcl'), 'utf8'), statSync(at('data.hcl')).mode & 0o777]).toEqual([NEXT, 0o640])
    expect(server.heard).toEqual(['ready', String(NEXT.length)])
    expect([other.heard, command.exitCode, command.signalCode]).toEqual([['ready'], null, null])
    expect((await carryOut(planned())).outcome).toBe('nothing-to-do')
  })

  it('puts the old file back when the server cannot be told', async () => {
    const server = await serve()
    const plan = planned()
    server.kill('SIGKILL')
    await once(server, 'exit')
    const failed = await carryOut(plan)
    expect([failed.exit, failed.outcome, failed.messages[0]]).toEqual([2, 'undone', expect.stringContaining('ESRCH')])
    expect(readFileSync(at('data.hcl'), 'utf8')).toBe(DATA)
  })

  it('refuses what the plugin would refuse, with every problem and its place', async () => {
    await serve()
    writeFileSync(at('next.hcl'), `${NEXT}require_polcy = ["pcr:0"]\n`)
    const { exit, message } = refusal()
    expect([exit, message]).toEqual([
      64,
      expect.stringMatching(/next\.hcl:7:1: require_polcy: .*did you mean "require_policy"/),
    ])
    const none = refusal(at('none.hcl'))
    expect([none.exit, none.message]).toEqual([64, `${at('none.hcl')}: cannot be read (ENOENT)`])
  })

  it('refuses where SPIRE reads the data in its own configuration, and says what to use', async () => {
    writeFileSync(at('server.conf'), serverConf('plugin_data {}'))
    await serve()
    const { exit, message } = refusal()
    expect([exit, message]).toEqual([3, expect.stringMatching(/server\.conf gives .* use plugin_data_file$/)])
  })
})
