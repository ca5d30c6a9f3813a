import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..', '..')

describe('the quick start of README.md', () => {
  it('reaches a first SVID when it is followed to the letter [T43]', async () => {
    const section = /## Try it\n([^]*?)\n## /.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1] ?? ''
    const command = /```sh\n([^]*?)\n```/.exec(section)?.[1] ?? ''
    expect(command).toBe('make demo')
    // MODE is the test runner's here; to the demo it would be Keylime's.
    const { MODE: _runner, ...env } = process.env
    const shell = spawn('bash', ['-ec', command], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const output: string[] = []
    for (const stream of [shell.stdout, shell.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => output.push(text))
    const [code] = (await once(shell, 'close')) as [number | null]
    expect({ code, tail: code === 0 ? '' : output.join('').slice(-2_000) }).toEqual({ code: 0, tail: '' })
    expect(output.join('')).toMatch(/X509-SVID spiffe:\/\/\S+/)
  })
})
