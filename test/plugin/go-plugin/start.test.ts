import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { refuseNodeArguments } from '../../../plugins/go-plugin/serve/node-arguments.ts'
import { launchPlugin, PluginStartError } from '../../../plugins/spire-sdk/testing/index.ts'
import { launchTrial, run, TRIAL_COOKIE, TRIAL_FILE } from './trial.ts'

function startByHand(
  env: NodeJS.ProcessEnv,
  args: readonly string[] = [],
): { status: number | null; stdout: string; stderr: string } {
  const { SomePlugin: _cookie, ...clean } = process.env
  return spawnSync(process.execPath, [TRIAL_FILE, ...args], { env: { ...clean, ...env }, encoding: 'utf8' })
}

async function startError(options: Parameters<typeof launchTrial>[0]): Promise<PluginStartError> {
  try {
    const plugin = await launchTrial(options)
    await plugin.kill()
  } catch (error) {
    if (error instanceof PluginStartError) return error
    throw error
  }
  throw new Error('the plugin started')
}

describe('serveGoPlugin', () => {
  describe('when a person starts the plugin', () => {
    it.each([
      ['without the cookie [C01]', {}],
      ['with another cookie [C02]', { SomePlugin: 'OtherPlugin' }],
    ])('explains itself on stderr, prints nothing and exits with 1 %s', (_title, env) => {
      const { status, stdout, stderr } = startByHand(env)
      expect(status).toBe(1)
      expect(stdout).toBe('')
      expect(stderr).toContain('trial-plugin is a plugin: its host starts it')
      expect(stderr).toContain('Name it in the configuration of its host.')
    })

    it("says what the plugin's author wants said [go-plugin:start:hint]", () => {
      const { status, stdout, stderr } = startByHand({ TRIAL_HINT: 'Register it with `bao plugin register`.' })
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
      expect(stderr.split('\n')[1]).toBe('Register it with `bao plugin register`.')
    })

    it('prints its version when asked, if its author gave one [go-plugin:start:version]', () => {
      const known = startByHand({ TRIAL_VERSION: '1.2.3' }, ['--version'])
      expect(known).toMatchObject({ status: 0, stdout: 'trial-plugin 1.2.3\n', stderr: '' })
      expect(startByHand({}, ['--version'])).toMatchObject({ status: 1, stdout: '' })
    })
  })

  describe('when a host starts it', () => {
    it('prints one line of six fields and nothing else, ever [C06] [C13]', async () => {
      await using plugin = await launchTrial()
      expect(plugin.handshakeLine).toMatch(/^1\|1\|unix\|\/[^|]+\/plugin[0-9a-f]{16}\|grpc\|$/)
      await run(plugin, { action: 'print', text: 'banner', count: 10 })
      await run(plugin, { action: 'printError', text: '{"@message":7}' })
      await plugin.shutdown()
      expect(plugin.stdoutRest()).toBe('')
    })

    it('says version 1 to a host that lists none [C03]', async () => {
      await using plugin = await launchTrial({ args: [TRIAL_FILE], env: { PLUGIN_PROTOCOL_VERSIONS: '' } })
      expect(plugin.handshake.appVersion).toBe(1)
    })

    it('says its lowest version to a host that knows only others, and the host complains [C04]', async () => {
      const error = await startError({ protocolVersions: [2] })
      expect(error.message).toBe('incompatible API version with plugin. Plugin version: 1, Client versions: [2]')
      expect(error.stdout).toMatch(/^1\|1\|unix\|/)
    })

    it.each([
      [[5], '5'],
      [[4, 5], '5'],
      [[5, 6, 7], '6'],
    ])(
      'tells its services which version a host of %j will speak [go-plugin:context:protocol-version]',
      async (protocolVersions, version) => {
        await using plugin = await launchTrial({ protocolVersions, env: { TRIAL_PROTOCOL_VERSIONS: '5,6' } })
        expect(await run(plugin, { action: 'version' })).toEqual({ text: version })
      },
    )

    it('chooses the common version and reports entries that are no numbers [C05]', () => {
      // Unix sockets cannot be made in a folder that is missing: the plugin ends by itself after the choice.
      const env = { SomePlugin: 'SomePlugin', PLUGIN_PROTOCOL_VERSIONS: 'x,1', TMPDIR: '/nonexistent' }
      const { stderr } = startByHand(env)
      const [warning] = stderr.split('\n')
      expect(JSON.parse(warning ?? '')).toMatchObject({ '@level': 'warn', versions: 'x' })
    })

    it('answers a call sent in the same millisecond as its line, every time of 100 [C07]', {
      timeout: 180_000,
    }, async () => {
      for (let i = 0; i < 100; i++) {
        await using plugin = await launchTrial()
        expect(await run(plugin, { action: 'echo', text: String(i) })).toEqual({ text: String(i) })
      }
    })

    it('starts within 2 s while two processes keep two cores busy [C08]', async () => {
      const burners = [1, 2].map(() => spawn(process.execPath, ['-e', 'for (;;);']))
      try {
        await using plugin = await launchTrial({ startTimeoutMs: 2000 })
        expect(await run(plugin, { action: 'echo', text: 'busy' })).toEqual({ text: 'busy' })
      } finally {
        for (const burner of burners) burner.kill('SIGKILL')
      }
    })

    it('says no more than an error when it cannot start, and exits with 1 [C11]', async () => {
      const error = await startError({ env: { TMPDIR: `/tmp/${'x'.repeat(120)}` } })
      expect(error.exit).toEqual({ code: 1, signal: null })
      expect(error.message).toBe('plugin exited before we could connect')
      expect(error.stdout).toBe('')
      const line: unknown = JSON.parse(error.stderr)
      expect(line).toMatchObject({ '@level': 'error', '@message': 'Plugin cannot start' })
      expect(error.stderr).toMatch(
        /socket path .* has 148 bytes, at most 107 are possible; set TMPDIR to a shorter folder/,
      )
    })

    it('serves a host that is itself a child of a Node.js cluster [process:start:reason]', async () => {
      await using plugin = await launchTrial({ env: { NODE_UNIQUE_ID: '1' } })
      expect(await run(plugin, { action: 'echo', text: 'here' })).toEqual({ text: 'here' })
    })

    it.each(['--env-file=/nonexistent', '--env-file-if-exists', '--experimental-config-file=x'])(
      'refuses the argument %s, which Node.js would take [process:start:reason]',
      (arg) => {
        expect(() => refuseNodeArguments(['serve', arg])).toThrow(
          new Error(
            `argument ${JSON.stringify(arg)} is one that Node.js takes for itself; a plugin has no use for it, remove it`,
          ),
        )
        expect(() => refuseNodeArguments(['serve', '--environment', '-x'])).not.toThrow()
      },
    )

    it('logs one error and exits with 1 when its services cannot be made, though its line is out', async () => {
      const plugin = await launchTrial({ env: { TRIAL_FAIL_SERVICES: '1' } })
      expect(await plugin.exited).toEqual({ code: 1, signal: null })
      expect(plugin.logs).toHaveLength(1)
      expect(plugin.logs[0]).toMatchObject({ level: 'error', fields: { error: 'no services today' } })
      expect(existsSync(plugin.handshake.address)).toBe(false)
    })

    it.each([
      [{ PLUGIN_MIN_PORT: 'abc' }, 'PLUGIN_MIN_PORT is \\"abc\\", expected a port number'],
      [{ PLUGIN_MIN_PORT: '20', PLUGIN_MAX_PORT: '10' }, 'PLUGIN_MIN_PORT 20 is above PLUGIN_MAX_PORT 10'],
      [{ PLUGIN_UNIX_SOCKET_GROUP: 'no-such-group' }, 'no group is named \\"no-such-group\\"'],
      [{ PLUGIN_CLIENT_CERT: 'garbage' }, 'PLUGIN_CLIENT_CERT does not hold a PEM certificate'],
      [{ TMPDIR: '/nonexistent' }, 'no socket can be made in /nonexistent: the folder does not exist'],
    ])('refuses to start with %o, in one JSON error [C10]', async (env, message) => {
      const error = await startError({ env })
      expect(error.exit?.code).toBe(1)
      expect(error.stderr).toContain('"@level":"error"')
      expect(error.stderr).toContain(message)
    })
  })
})

describe('launchPlugin', () => {
  it('tells that the program printed something else than a handshake', async () => {
    const launch = { command: process.execPath, args: ['-e', 'console.log("hello")'], cookie: TRIAL_COOKIE }
    await expect(launchPlugin(launch)).rejects.toThrow('unrecognized remote plugin message: "hello"')
  })

  it('gives up on a program that prints nothing', async () => {
    const args = ['-e', 'setTimeout(() => {}, 60000)']
    const launch = { command: process.execPath, args, cookie: TRIAL_COOKIE, startTimeoutMs: 100 }
    await expect(launchPlugin(launch)).rejects.toThrow('timeout while waiting for plugin to start')
  })

  it('tells that there is no such program', async () => {
    const launch = { command: '/nonexistent/plugin', cookie: TRIAL_COOKIE }
    await expect(launchPlugin(launch)).rejects.toThrow('ENOENT')
    expect(existsSync('/nonexistent')).toBe(false)
  })
})

describe('PluginProcess', () => {
  it('removes the socket of a plugin it has killed', async () => {
    const plugin = await launchTrial()
    expect(await plugin.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    expect(existsSync(plugin.handshake.address)).toBe(false)
  })
})
