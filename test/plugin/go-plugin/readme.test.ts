import { spawnSync } from 'node:child_process'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, makeGenericClientConstructor } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { type ClientConstructor, launchPlugin, unary } from '../../../plugins/spire-sdk/testing/index.ts'
import { newFolder, until } from './trial.ts'
import { TRIAL } from './trial-service.ts'

const ROOT = new URL('../../../', import.meta.url).pathname
const README = readFileSync(join(ROOT, 'plugins/go-plugin/README.md'), 'utf8')
const BLOCKS = [...README.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code)

/** Makes a folder where the packages are installed, as far as a file in it can tell. */
function installedFolder(): string {
  const folder = newFolder()
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

interface HelloClient extends Client {
  sayHello(request: { name: string }, callback: (error: Error | null, response: { text: string }) => void): unknown
}

describe('the README of go-plugin', () => {
  it('shows a plugin that works as it stands', async () => {
    const file = join(installedFolder(), 'hello.ts')
    writeFileSync(file, BLOCKS[0] ?? '')
    const cookie = { key: 'HELLO_PLUGIN', value: 'hello' }
    const plugin = await launchPlugin({ command: process.execPath, args: [file], cookie })
    const definition = { sayHello: { ...TRIAL.run, path: '/hello.Hello/SayHello' } }
    const kind = makeGenericClientConstructor(definition, 'Hello') as unknown as ClientConstructor<HelloClient>
    const answer = await unary<{ text: string }>((done) =>
      plugin.client(kind).sayHello({ name: 'world' }, done as never),
    )
    expect(answer).toEqual({ text: 'hello world' })
    await until(() => plugin.logs.length > 0, 'the greeting is logged')
    expect(plugin.logs[0]).toMatchObject({ level: 'info', message: 'Greeted', fields: { name: 'world' } })
    expect(await plugin.shutdown()).toEqual({ code: 0, signal: null, forced: false })
  })

  it('shows a host that works as it stands', () => {
    const folder = installedFolder()
    writeFileSync(join(folder, 'hello.ts'), BLOCKS[0] ?? '')
    writeFileSync(join(folder, 'host.ts'), BLOCKS[1] ?? '')
    const { status, stdout, stderr } = spawnSync(process.execPath, ['host.ts'], { cwd: folder, encoding: 'utf8' })
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'hello world\n', stderr: '' })
  })
})
