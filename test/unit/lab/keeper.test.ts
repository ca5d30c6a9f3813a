import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { processesOfRig, RIG_VARIABLE } from '../../lab/processes/process-group.ts'

const KEEPER = fileURLToPath(new URL('../../lab/processes/keeper.ts', import.meta.url))

describe('the keeper of a rig whose owner is killed', () => {
  it('ends also what was started in the last moment, of which it was never told, and removes the folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rig-keeper-'))
    const keeper = spawn(process.execPath, [KEEPER], { stdio: ['pipe', 'ignore', 'inherit'] })
    keeper.stdin.write(`${JSON.stringify({ op: 'folder', path: folder })}\n`)
    const untold = spawn('sleep', ['60'], { detached: true, env: { ...process.env, [RIG_VARIABLE]: folder } })
    const stranger = spawn('sleep', ['60'], { detached: true, env: { ...process.env, [RIG_VARIABLE]: `${folder}-2` } })
    keeper.stdin.end()
    const [, signal] = (await once(untold, 'exit')) as [number | null, string | null]
    await once(keeper, 'exit')
    expect(signal).toBe('SIGKILL')
    expect(processesOfRig(folder)).toEqual([])
    expect(existsSync(folder)).toBe(false)
    expect(stranger.exitCode).toBeNull()
    stranger.kill('SIGKILL')
  })
})
