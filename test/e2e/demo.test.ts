import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { pollUntil } from '../lab/processes/poll.ts'

const DEMO = fileURLToPath(new URL('../lab/one-host/demo.ts', import.meta.url))

interface Run {
  readonly child: ChildProcess
  output(): string
  readonly ended: Promise<number | null>
}

function startDemo(): Run {
  // MODE is the test runner's here; to the demo it would be Keylime's.
  const { KEYLIME_AGENT: _real, MODE: _runner, ...env } = process.env
  const child = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  return { child, output: () => text, ended }
}

interface Listed {
  readonly parent: number
  readonly commandLine: string
}

/** Every process of this machine. */
function listProcesses(): readonly Listed[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      return [{ parent, commandLine: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }]
    } catch {
      return []
    }
  })
}

const processesIn = (folder: string): readonly Listed[] =>
  listProcesses().filter(({ commandLine }) => commandLine.includes(folder))

const workFolder = (output: string): string | undefined => /\/\S*\/tower-of-omens-\w{6}/.exec(output)?.[0]

describe('make demo', () => {
  it('shows a node refused, enrolled, attested, tampered with and refused again, and leaves nothing but logs', async () => {
    const run = startDemo()
    expect(await run.ended).toBe(0)
    const output = run.output()
    expect(output).toMatch(/an operator reads: code = FailedPrecondition desc = .* does not know agent [0-9a-f]{64}/)
    expect(output).toMatch(/SPIFFE ID spiffe:\/\/tower\.example\/spire\/agent\/keylime\/[0-9a-f]{64}/)
    expect(output).toMatch(/Selectors\s+: keylime:policy:pcr:7/)
    expect(output).toContain('X509-SVID spiffe://tower.example/workload/demo')
    expect(output).toMatch(/an operator reads: code = PermissionDenied desc = .*pcr_validation\.invalid_pcr_7/)
    expect(output).toMatch(/Keylime agent: the rig's stand-in over the real software TPM\. Time: .*Logs: \S+/)
    const logs = /Logs: (\S+)/.exec(output)?.[1] ?? ''
    expect(readdirSync(logs)).toEqual(expect.arrayContaining(['spire-server.log', 'spire-agent.log', 'verifier.log']))
    const folder = workFolder(output) ?? 'no folder was named'
    expect(processesIn(folder)).toEqual([])
    expect(existsSync(folder)).toBe(false)
  })

  it.each([
    { signal: 'SIGINT' as const, how: 'Ctrl-C' },
    { signal: 'SIGKILL' as const, how: 'being killed outright' },
  ])('leaves no process and no folder behind after $how', async ({ signal }) => {
    const run = startDemo()
    await pollUntil('the demo to say that its parts are up', () => run.output().includes('2. '), { deadlineMs: 90_000 })
    const folder = await pollUntil('a child to name the work folder', () =>
      listProcesses()
        .filter(({ parent }) => parent === run.child.pid)
        .map(({ commandLine }) => workFolder(commandLine))
        .find((path) => path !== undefined),
    )
    expect(existsSync(folder)).toBe(true)
    run.child.kill(signal)
    await run.ended
    await pollUntil('everything to end', () => processesIn(folder).length === 0 && !existsSync(folder), {
      deadlineMs: 30_000,
    })
    expect(processesIn(folder)).toEqual([])
  })
})
