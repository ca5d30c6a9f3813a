import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  HOST_SERVICES,
  initPlugin,
  launchPlugin,
  type PluginProcess,
} from '../../../plugins/spire-sdk/testing/index.ts'
import { describeServices, listServices } from '../go-plugin/reflection-client.ts'

const SDK = join(import.meta.dirname, '../../../plugins/spire-sdk/index.ts')

/** Lists the modules that one import loads in a fresh Node. */
function modulesOf(file: string): string[] {
  const script = `
    import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load: (url, context, next) => { urls.push(url); return next(url, context) } })
    await import(${JSON.stringify(file)})
    console.log(JSON.stringify(urls))`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  return JSON.parse(output) as string[]
}

describe('importing the SDK', () => {
  it('loads neither gRPC nor generated code, so that nothing delays the handshake line [C08]', () => {
    const modules = modulesOf(SDK)
    expect(modules.filter((url) => url.includes('node_modules') || url.includes('/gen/'))).toEqual([])
    expect(modules.some((url) => url.endsWith('/server-node-attestor.ts'))).toBe(true)
  })
})

/** What a plugin can do for other hosts than SPIRE, or only when asked. */
const UNUSED = [
  'go-plugin/tls/auto-mtls.ts',
  'go-plugin/tls/der.ts',
  'go-plugin/broker/mux-',
  'go-plugin/broker/yamux-',
  'go-plugin/serve/reattach.ts',
  'go-plugin/grpc/reflection-answers.ts',
  'go-plugin/grpc/descriptor-index.ts',
  'gen/descriptor',
  'gen/grpc/reflection',
  'gen/spire/plugin/server/keymanager',
  'gen/spire/plugin/server/upstreamauthority',
  'gen/spire/hostservice/server',
  'node_modules/undici/',
  'node_modules/@bufbuild/protobuf/dist/esm/index.js',
]

describe('starting an attestor', () => {
  it.each(['server', 'agent'] as const)('loads no part that the %s half does not use [C13]', async (half) => {
    const { modules } = await startRecorded(half)
    expect(modules().filter((url) => UNUSED.some((part) => url.includes(part)))).toEqual([])
    expect(modules().some((url) => url.endsWith(`/gen/spire/plugin/${half}/nodeattestor/v1/nodeattestor.ts`))).toBe(
      true,
    )
  })

  it('leaves the descriptors of its services alone until somebody asks for one [C18]', async () => {
    const { plugin, modules } = await startRecorded('agent')
    const descriptors = (): string[] => modules().flatMap((url) => /[^/]+\/descriptor[^/]*\.ts$/.exec(url) ?? [])
    const names = await listServices(plugin)
    expect(descriptors()).toEqual([])
    await describeServices(plugin, names)
    expect(descriptors().toSorted()).toEqual(['gen/descriptors.ts', 'gen/descriptors.ts', 'grpc/descriptor-index.ts'])
  })
})

/** Starts half of the attestors as SPIRE does, and writes down what it loads. */
async function startRecorded(half: 'server' | 'agent'): Promise<{ plugin: PluginProcess; modules: () => string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'modules-'))
  const list = join(folder, 'modules')
  const plugin = await launchPlugin({
    command: process.execPath,
    args: [
      '--import',
      join(import.meta.dirname, 'executables/record-modules.ts'),
      join(import.meta.dirname, `../../../${half}-attestor/main.ts`),
    ],
    env: { MODULES_FILE: list },
    cookie: { key: 'NodeAttestor', value: 'NodeAttestor' },
  })
  onTestFinished(async () => {
    await plugin.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  await initPlugin(plugin, HOST_SERVICES[half])
  return { plugin, modules: () => readFileSync(list, 'utf8').trimEnd().split('\n') }
}
