import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ChannelCredentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { GRPCStdioClient, type StdioData } from '../../../plugins/go-plugin/gen/goplugin/stdio.ts'
import { unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { launchTrial, newFolder, run, TRIAL_COOKIE, TRIAL_FILE, until } from './trial.ts'
import { TrialClient, type TrialResponse } from './trial-service.ts'

function rssMiB(pid: number): number {
  const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}

describe('what a plugin prints', () => {
  it('reaches the host on channels 1 and 2, in order, and never descriptor 1 or 2 [C19]', async () => {
    await using plugin = await launchTrial()
    for (let i = 0; i < 20; i++) await run(plugin, { action: 'print', text: `line ${i}` })
    await run(plugin, { action: 'printError', text: 'to stderr' })
    await until(() => plugin.printed(2) !== '', 'the output has arrived')
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index}\n`)
    expect(plugin.printed(1)).toBe(`${lines.join('')}out\n`)
    expect(plugin.printed(2)).toBe('to stderr\n')
    expect(plugin.stdoutRest()).toBe('')
    expect(plugin.logs).toEqual([])
  })

  it('is captured also from a program that has used console before [C19] [C22]', async () => {
    await using plugin = await launchTrial({ env: { TRIAL_EARLY_CONSOLE: '1' } })
    await run(plugin, { action: 'printError', text: '{"@message":7}' })
    await until(() => plugin.printed(2) !== '', 'the output has arrived')
    expect(plugin.logs.map((line) => line.raw)).toEqual(['early'])
    expect(plugin.printed(2)).toBe('{"@message":7}\n')
  })

  it('is dropped beyond a bound while nobody reads: 50 MiB cost no memory and block nothing [C20]', async () => {
    await using plugin = await launchTrial({ readStdio: false })
    const text = 'x'.repeat(64 * 1024 - 1)
    // What a call of this size costs by itself is no part of the question.
    for (let i = 0; i < 20; i++) await run(plugin, { action: 'print', text })
    const before = rssMiB(plugin.pid)
    for (let i = 0; i < 16; i++) await run(plugin, { action: 'print', text, count: 50 })
    expect(rssMiB(plugin.pid) - before).toBeLessThan(64)
    const chunks: StdioData[] = []
    const call = plugin.client(GRPCStdioClient).streamStdio({})
    call.on('error', () => undefined)
    call.on('data', (chunk: StdioData) => chunks.push(chunk))
    await run(plugin, { action: 'print', text: 'the end' })
    await until(() => chunks.at(-1)?.data.toString().endsWith('the end\n') === true, 'the last line has arrived')
    expect(chunks[0]).toMatchObject({ channel: 2 })
    expect(chunks[0]?.data.toString()).toMatch(/^\.\.\. \d{8} bytes of older output were dropped/)
    expect(chunks.reduce((sum, chunk) => sum + chunk.data.length, 0)).toBeLessThan(1.1 * 1024 * 1024)
    call.cancel()
  })
})

describe('what a plugin logs', () => {
  it('reaches the host with level, message and fields [C21] [C24]', async () => {
    await using plugin = await launchTrial()
    await run(plugin, { action: 'log', text: 'two\nlines and ünïcode' })
    await until(() => plugin.logs.length === 5, 'five lines are logged')
    expect(plugin.logs.map((line) => line.level)).toEqual(['trace', 'debug', 'info', 'warn', 'error'])
    for (const line of plugin.logs) {
      expect(line).toMatchObject({ parsed: true, hostPanics: false, message: 'two\nlines and ünïcode' })
      expect(line.fields).toMatchObject({ '@module': 'trial', fixed: true, nested: { a: [1, { b: 'ü' }] }, big: '10' })
    }
  })

  it('cannot make the host panic: only strings under the keys that hclog owns [C22]', async () => {
    await using plugin = await launchTrial()
    await run(plugin, { action: 'logOdd' })
    await until(() => plugin.logs.length === 2, 'both lines are logged')
    expect(plugin.logs.map((line) => line.hostPanics)).toEqual([false, false])
    expect(plugin.logs.map((line) => line.message)).toEqual(['{"a":1}', '42'])
  })

  it('is cut below the host line buffer with its level kept [C23]', async () => {
    await using plugin = await launchTrial()
    await run(plugin, { action: 'log', text: 'ü'.repeat(100 * 1024) })
    await until(() => plugin.logs.length === 5, 'five lines are logged')
    const error = plugin.logs.at(-1)
    expect(error).toMatchObject({ level: 'error', parsed: true })
    expect(Buffer.byteLength(error?.raw ?? '')).toBeLessThan(64 * 1024)
    expect(error?.message).toMatch(/^ü{12000}\.\.\. \(truncated\)$/)
  })
})

describe('a plugin whose host does not read stderr', () => {
  it('drops log lines instead of calls, and says how many when the host reads again', { timeout: 30_000 }, async () => {
    // A Go host hands out pipes; Node.js would hand out sockets.
    const fifo = join(newFolder(), 'stderr')
    execFileSync('mkfifo', [fifo])
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const writer = openSync(fifo, constants.O_WRONLY)
    const child = spawn(process.execPath, [TRIAL_FILE], {
      env: { ...process.env, [TRIAL_COOKIE.key]: TRIAL_COOKIE.value },
      stdio: ['ignore', 'pipe', writer],
    })
    closeSync(writer)
    const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
    const client = new TrialClient(`unix:${line.toString().split('|')[3]}`, ChannelCredentials.createInsecure())
    const ask = (action: string, text: string): Promise<TrialResponse> =>
      unary((done) => client.run({ action, text }, done))
    for (let i = 0; i < 20; i++) await ask('log', 'x'.repeat(10_000))
    expect(await ask('echo', 'alive')).toEqual({ text: 'alive' })
    const room = Buffer.alloc(1024 * 1024)
    const stuck = room.subarray(0, readSync(reader, room)).toString()
    await ask('log', 'again')
    const fresh = room.subarray(0, readSync(reader, room)).toString()
    expect(
      stuck
        .split('\n')
        .slice(0, -1)
        .every((text) => text.endsWith('}')),
    ).toBe(true)
    expect(fresh).toMatch(/^\n?\[WARN\] the host did not read stderr: \d+ log lines were dropped$/m)
    expect(fresh.match(/"@message":"again"/g)).toHaveLength(5)
    client.close()
    closeSync(reader)
    child.kill('SIGKILL')
    rmSync(line.toString().split('|')[3] ?? '')
  })
})

describe('what a plugin does wrong', () => {
  it('fails one call with a status that tells no detail, and logs the rest [C25]', async () => {
    await using plugin = await launchTrial()
    await expect(run(plugin, { action: 'throw' })).rejects.toMatchObject({ code: 13, details: 'internal error' })
    const line = plugin.logs.find((entry) => entry.level === 'error')
    expect(line).toMatchObject({ message: 'RPC handler failed', fields: { error: 'secret detail' } })
    await expect(run(plugin, { action: 'status' })).rejects.toMatchObject({ code: 7, details: 'not you' })
  })

  it.each([
    ['exception', 'Uncaught exception', 'stray exception'],
    ['rejection', 'Unhandled promise rejection', 'stray rejection'],
  ])('survives an %s nobody caught, with one JSON error in the log [C25]', async (text, message, error) => {
    await using plugin = await launchTrial()
    await run(plugin, { action: 'stray', text })
    await until(() => plugin.logs.length > 0, 'the error is logged')
    expect(plugin.logs).toHaveLength(1)
    expect(plugin.logs[0]).toMatchObject({ level: 'error', parsed: true, message, fields: { error } })
    expect(await run(plugin, { action: 'echo', text: 'alive' })).toEqual({ text: 'alive' })
  })

  it('reports a warning of Node.js as a warning', async () => {
    await using plugin = await launchTrial()
    await run(plugin, { action: 'warn', text: 'careful\n{"@message":7}' })
    await until(() => plugin.logs.length > 0, 'the warning is logged')
    expect(plugin.logs).toHaveLength(1)
    expect(plugin.logs[0]).toMatchObject({ level: 'warn', message: 'Node.js warning', hostPanics: false })
  })
})
