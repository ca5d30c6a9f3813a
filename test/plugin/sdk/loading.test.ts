import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const SDK = join(import.meta.dirname, '../../../plugins/sdk/index.ts')

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
