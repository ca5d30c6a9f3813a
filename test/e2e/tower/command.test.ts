import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { type CommandResult, tryCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { leftoversOf } from '../../lab/tower/leftovers.ts'
import { namespacesOf } from '../../lab/tower/network.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { Tower } from '../../lab/tower/tower.ts'
import { VERBS } from '../../lab/tower/verbs.ts'
import { onTower, towerParts } from './scenario.ts'

const PREFIX = 'twcli'
const COMMAND = resolve(import.meta.dirname, '..', '..', 'lab', 'tower', 'tower')

const tower = (...words: readonly string[]): Promise<CommandResult> =>
  tryCommand(COMMAND, ['--prefix', PREFIX, ...words], { timeoutMs: 180_000, inheritEnv: true })

async function ok(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tower(...words)
  expect({ words, code, said: code === 0 ? '' : stdout + stderr }).toEqual({ words, code: 0, said: '' })
  return stdout
}

/** Waits until the table says that all hosts are well. */
function allWell(): Promise<unknown> {
  return pollUntil('every host to be well', async () => (await tower('status')).code === 0, { deadlineMs: 120_000 })
}

onTower('./test/lab/tower/tower', () => {
  afterEach(async () => {
    if (namespacesOf(PREFIX).length > 0) await tower('down')
  })

  it('raises a tower that stands on, does to it all that its help names, and takes it down without a trace', async () => {
    await towerParts()
    const line = new Timeline('the command, verb by verb', ['T66'])
    const help = await ok('help')
    for (const verb of [...Object.keys(VERBS), 'up', 'down', 'run']) expect(help).toContain(`  ${verb} `)
    expect((await tower('status')).stderr).toContain('no tower twcli stands')
    expect(await ok('up', '--hosts', '2', '--keep')).toContain('the tower stands')
    expect(await tower('up')).toMatchObject({ code: 1, stderr: expect.stringContaining('stands already') as string })
    line.mark('up --hosts 2 --keep')
    await allWell()
    const table = await ok('status')
    expect(table).toMatch(/^HOST\s+AGENT ID\s+EK\s+KEYLIME\s+FRESH\s+POLICY\s+SPIRE\s+SVID\s+CERT\s+VERDICT\n/)
    expect(table).toMatch(
      /^auth\s+\w{8}\s+match\s+(get-quote \(3\)|provide-v \(5\)) \d+\s+\d+s\s.*\sattested\s+\d+s\s+\d+ %\s+admit$/m,
    )
    expect(table).toContain('2 of 2 hosts admitted')
    line.mark('status: exit 0')
    expect(await ok('run', 'auth', 'ip', 'route')).toBe(
      '10.10.2.0/24 dev eth0 proto kernel scope link src 10.10.2.70 \n',
    )
    expect(await ok('run', 'auth', 'tpm2_pcrread', 'sha256:7')).toContain('0x')
    line.mark('run: commands on a host; no route out')
    expect(await ok('add')).toContain('ca: attested as spiffe://')
    line.mark('add')
    expect(await ok('tamper', 'auth')).toContain('auth: done')
    await pollUntil('the table to show it', async () => (await tower('status')).code === 2)
    expect((await tower('status')).stdout).toMatch(/^auth\s.*\s\S+ \(9\) \d+\s.*verdict KL-GATE-INVALID-QUOTE$/m)
    line.mark('tamper: exit 2 of status')
    await ok('reboot', 'auth')
    await ok('powercut', 'ca')
    await pollUntil('the cut to be seen', async () => (await tower('status')).stdout.includes('KL-GATE-INVALID-QUOTE'))
    await ok('heal', 'ca')
    line.mark('reboot, powercut, heal')
    await ok('partition', 'ca')
    // No packet comes back at all: each of five tries waits its ten seconds.
    const givenUp = async (): Promise<boolean> =>
      /^ca\s.*\s\S+ \(7\) \d+\s.*KL-GATE-UNREACHABLE$/m.test((await tower('status')).stdout)
    await pollUntil('the verifier to give it up', givenUp, { deadlineMs: 180_000 })
    await ok('partition', 'ca', 'off')
    await ok('heal', 'ca')
    line.mark('partition, and back')
    await ok('expire', 'auth')
    expect((await tower('status')).stdout).toMatch(/TK-CERT-EXPIRED\s+auth/)
    await ok('renew', 'auth')
    expect(await ok('renew', '--all')).toMatch(/spire: done.*\n.*auth: done.*\n.*ca: done/)
    line.mark('expire, renew, renew --all')
    await allWell()
    await ok('evict', 'auth')
    expect(await ok('service', 'auth', 'restart', 'spire-agent')).toContain('spire-agent: started')
    const attested = async (): Promise<boolean> =>
      (await ok('logs', 'auth', 'spire-agent')).includes('Node attestation was successful')
    await pollUntil('the log to say that auth is attested', attested)
    expect(await ok('where', 'auth')).toMatch(/^twcli-auth \S+workload\.sock\n$/)
    line.mark('evict, service, logs, where')
    await allWell()
    for (const [words, said] of [
      [['tamper', 'nobody'], 'no host nobody; there are spire, auth, ca'],
      [['dance'], 'no verb dance'],
      [['service', 'auth', 'restart', 'cron'], 'auth has no unit cron'],
    ] as const) {
      const { code, stdout } = await tower(...words)
      expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(said) as string })
    }
    expect(await ok('down')).toMatch(/^down in \d+\.\d s\n$/)
    await pollUntil('nothing to be left', () => leftoversOf(PREFIX).length === 0)
    expect(leftoversOf(PREFIX)).toEqual([])
    line.mark('down; nothing left in namespaces, /etc/netns, mounts, processes, folders')
    line.end()
  }, 600_000)

  it.each([
    { signal: 'SIGINT', prefix: 'twint' },
    { signal: 'SIGKILL', prefix: 'twkill' },
  ] as const)('leaves nothing behind when it is ended by $signal', async ({ signal, prefix }) => {
    await towerParts()
    const program = resolve(COMMAND, '..', 'main.ts')
    const node = spawn(process.execPath, [program, 'up', '--prefix', prefix, '--hosts', '1'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    let said = ''
    node.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    const ended = once(node, 'exit')
    await pollUntil('it to be half way up', () => said.includes('Book of Omens'), { deadlineMs: 120_000 })
    node.kill(signal)
    await ended
    await pollUntil('nothing to be left', () => leftoversOf(prefix).length === 0, { deadlineMs: 120_000 })
    expect(leftoversOf(prefix)).toEqual([])
  })

  it('lets two towers stand at once', async () => {
    const parts = await towerParts()
    const line = new Timeline('two towers at once')
    const towers = await Promise.all(['twone', 'twtwo'].map((prefix) => Tower.up({ parts, prefix, hosts: 1 })))
    line.mark('both stand, each with a host of the same name and address')
    try {
      const ids = towers.map((one) => one.host('spire').spiffeId)
      expect(new Set(ids).size).toBe(2)
      for (const one of towers) expect((await one.spire.agentList()).length).toBe(1)
      const [first, second] = towers
      await first?.down()
      expect((await second?.spire.agentList())?.length).toBe(1)
      line.mark('one is taken down; the other does not notice')
    } finally {
      await Promise.all(towers.map((one) => one.down()))
    }
    expect(['twone', 'twtwo'].flatMap((prefix) => leftoversOf(prefix))).toEqual([])
    line.end()
  })
})
