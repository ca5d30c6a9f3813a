import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GRPCBrokerClient } from '../../../plugins/go-plugin/gen/goplugin/broker.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { isAlive, launchTrial, newFolder, run, TRIAL_FILE, until } from './trial.ts'
import { TrialClient, type TrialResponse } from './trial-service.ts'

function debuggerPorts(pid: number): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)
  // Listening on port 9229 (0x240D), where Node's debugger would be.
  return lines.filter((line) => /:240D .* 0A /.test(line))
}

describe('a plugin in its socket folder', () => {
  it.each(['TMPDIR', 'PLUGIN_UNIX_SOCKET_DIR'])(
    'puts its sockets into %s, for its owner only, and removes them [C09]',
    async (key) => {
      const folder = newFolder()
      await using plugin = await launchTrial({ env: { [key]: folder } })
      await run(plugin, { action: 'accept', id: 3 })
      const names = readdirSync(folder)
      expect(names.length).toBeGreaterThanOrEqual(2)
      for (const name of names) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600)
      await plugin.shutdown()
      expect(readdirSync(folder)).toEqual([])
    },
  )

  it.each([String(userInfo().gid), groupName(userInfo().gid)])('lets the group %s in [C10]', async (group) => {
    const folder = newFolder()
    await using plugin = await launchTrial({ env: { TMPDIR: folder, PLUGIN_UNIX_SOCKET_GROUP: group } })
    const { mode, gid } = statSync(plugin.handshake.address)
    expect(mode & 0o777).toBe(0o660)
    expect(gid).toBe(userInfo().gid)
  })

  it('leaves nothing behind when it is terminated without its host [C32]', async () => {
    const folder = newFolder()
    await using plugin = await launchTrial({ env: { TMPDIR: folder, TRIAL_GRACE_MS: '200' } })
    plugin.child.kill('SIGTERM')
    expect(await plugin.exited).toEqual({ code: 0, signal: null })
    expect(readdirSync(folder)).toEqual([])
  })
})

function groupName(gid: number): string {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.split(':')[2] === String(gid))
  return line?.split(':')[0] ?? String(gid)
}

describe('a plugin whose host ends it', () => {
  it('exits with 0 within two seconds, unforced, its socket gone [C29]', async () => {
    await using plugin = await launchTrial()
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
    expect(existsSync(plugin.handshake.address)).toBe(false)
  })

  it('does so with 50 open streams and a child that holds its pipes [C30]', async () => {
    await using plugin = await launchTrial()
    const child = await run(plugin, { action: 'child' })
    for (let i = 0; i < 50; i++) {
      const call = plugin.client(TrialClient).chat()
      call.on('error', () => undefined)
      call.write({ action: 'echo', text: 'hello' })
      await once(call, 'data')
    }
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
    await until(() => !isAlive(child.pid ?? 0), 'the child is gone')
  })

  it('does so when its own ending hangs [C29]', async () => {
    await using plugin = await launchTrial({ env: { TRIAL_HANG_SHUTDOWN: '1' } })
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
    expect(plugin.logs.at(-1)).toMatchObject({ level: 'warn', fields: { waited_ms: 1000 } })
  })
})

describe('a plugin and signals', () => {
  it('serves on after SIGINT, SIGUSR1 and SIGUSR2, and opens no debugger [C31]', async () => {
    await using plugin = await launchTrial()
    for (const signal of ['SIGINT', 'SIGINT', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const) {
      plugin.child.kill(signal)
      expect(await run(plugin, { action: 'echo', text: signal })).toEqual({ text: signal })
    }
    expect(debuggerPorts(plugin.pid)).toEqual([])
  })

  it('serves on after a hang-up and whatever else a program in Go lives through [process:signals:host-lives]', async () => {
    await using plugin = await launchTrial()
    for (const signal of [
      'SIGHUP',
      'SIGALRM',
      'SIGVTALRM',
      'SIGXCPU',
      'SIGXFSZ',
      'SIGIO',
      'SIGPWR',
      'SIGHUP',
    ] as const) {
      plugin.child.kill(signal)
      expect(await run(plugin, { action: 'echo', text: signal })).toEqual({ text: signal })
    }
    expect(plugin.child.signalCode).toBeNull()
  })

  it('serves on after SIGTERM until its host ends it [C32]', async () => {
    await using plugin = await launchTrial()
    plugin.child.kill('SIGTERM')
    await until(() => plugin.logs.some((line) => line.message.startsWith('Terminating')), 'SIGTERM is logged')
    expect(await run(plugin, { action: 'echo', text: 'still' })).toEqual({ text: 'still' })
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
  })

  it('ends by itself within two seconds of its host [C33]', async () => {
    // A host between us and the plugin, which is killed.
    const script = `import { spawn } from 'node:child_process'
      const child = spawn(process.execPath, [process.argv[1]], { stdio: ['ignore', 'pipe', 'inherit'] })
      child.stdout.on('data', (data) => process.stdout.write(child.pid + ' ' + data))`
    const args = ['--input-type=module', '-e', script, TRIAL_FILE]
    const host = spawn(process.execPath, args, { env: { ...process.env, SomePlugin: 'SomePlugin' } })
    const [data] = (await once(host.stdout, 'data')) as [Buffer]
    const [pid = '', line = ''] = data.toString().trim().split(' ')
    host.kill('SIGKILL')
    await until(() => !isAlive(Number(pid)), 'the plugin is gone', 2000)
    expect(existsSync(line.split('|')[3] ?? '')).toBe(false)
  })
})

describe('a plugin and its pipes', () => {
  it('serves on without anybody at the other end of stderr [C35]', async () => {
    await using plugin = await launchTrial()
    plugin.child.stderr?.destroy()
    for (let i = 0; i < 5; i++) await run(plugin, { action: 'log', text: 'into the void' })
    expect(await run(plugin, { action: 'echo', text: 'alive' })).toEqual({ text: 'alive' })
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
  })

  it('does not care for its stdin, which the host has closed [C34]', async () => {
    // launchPlugin gives it the null device: at its end from the beginning.
    await using plugin = await launchTrial()
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await run(plugin, { action: 'echo', text: 'alive' })).toEqual({ text: 'alive' })
  })
})

describe('a plugin and connections', () => {
  it('serves a probe that says nothing, then two hosts at once [C36]', async () => {
    await using plugin = await launchTrial()
    const probe = createConnection({ path: plugin.handshake.address })
    await once(probe, 'connect')
    probe.destroy()
    const { target, credentials, options } = plugin.connection
    const clients = [1, 2].map(
      () => new TrialClient(target, credentials, { ...options, 'grpc.use_local_subchannel_pool': 1 }),
    )
    const asked = clients.map((client, index) =>
      unary<TrialResponse>((done) => client.run({ action: 'echo', text: String(index) }, done)),
    )
    expect(await Promise.all(asked)).toEqual([{ text: '0' }, { text: '1' }])
    for (const client of clients) client.close()
  })

  it('serves a host that has lost its connection and dials again, broker included [C37]', async () => {
    await using plugin = await launchTrial()
    const relayFolder = newFolder()
    const relayPath = join(relayFolder, 'relay')
    const relayed = new Set<ReturnType<typeof createConnection>>()
    const relay = createServer((socket) => {
      const onward = createConnection({ path: plugin.handshake.address })
      for (const end of [socket, onward]) {
        end.on('error', () => undefined)
        relayed.add(end)
      }
      socket.pipe(onward).pipe(socket)
    })
    await once(relay.listen(relayPath), 'listening')
    const { credentials, options } = plugin.connection
    const client = new TrialClient(`unix:${relayPath}`, credentials, options)
    const ask = (text: string): Promise<TrialResponse> =>
      unary((done) =>
        client.run({ action: 'echo', text }, { deadline: Date.now() + 10_000, waitForReady: true } as never, done),
      )
    expect(await ask('first')).toEqual({ text: 'first' })
    for (const socket of relayed) socket.destroy()
    await until(
      () =>
        ask('again').then(
          () => true,
          () => false,
        ),
      'the plugin answers again',
    )
    const broker = new GRPCBrokerClient(`unix:${relayPath}`, credentials, options).startStream()
    broker.on('error', () => undefined)
    const announced: number[] = []
    broker.on('data', (info: { serviceId: number }) => announced.push(info.serviceId))
    // Announcements go to the newest stream; this one is the newest as soon as it has arrived.
    await until(async () => {
      await run(plugin, { action: 'accept', id: 12 })
      return announced.includes(12)
    }, 'the new stream announces services')
    broker.cancel()
    client.close()
    relay.close()
    for (const socket of relayed) socket.destroy()
  })
})
