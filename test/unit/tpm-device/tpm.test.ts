import { afterEach, describe, expect, it } from 'vitest'
import { flushContext } from '../../../plugins/tpm/commands/keys.ts'
import { TpmResponseError } from '../../../plugins/tpm/commands/response-code.ts'
import { TpmDeviceError } from '../../../plugins/tpm-device/device-error.ts'
import { Kept } from '../../../plugins/tpm-device/kept.ts'
import { Tpm } from '../../../plugins/tpm-device/tpm.ts'
import { framed, type Scripted, type ScriptedTpm, startScriptedTpm } from '../../fakes/scripted-tpm.ts'

const FLUSH = flushContext(0x80000000)
const OK = framed(0)
const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close()
})

async function start(answers: (index: number) => Scripted): Promise<ScriptedTpm> {
  const scripted = await startScriptedTpm(answers)
  open.push(scripted)
  return scripted
}

async function connect({ path }: ScriptedTpm, pauses: number[] = [], timeoutMs = 5000): Promise<Tpm> {
  const tpm = await Tpm.open({ path, timeoutMs, pause: async (ms) => void pauses.push(ms) })
  open.push(tpm)
  return tpm
}

async function outcome(run: Promise<unknown>): Promise<string> {
  try {
    await run
    return 'done'
  } catch (error) {
    if (error instanceof TpmDeviceError) return `${error.code}: ${error.message.replaceAll(/\/\S*tpm\.sock/g, 'PATH')}`
    return error instanceof TpmResponseError ? error.message : `untyped ${String(error)}`
  }
}

describe('Tpm', () => {
  it.each([
    ['RETRY', 0x922],
    ['YIELDED', 0x908],
    ['TESTING', 0x90a],
  ])('sends a command again while the TPM says %s [tpm:device:retry]', async (_name, code) => {
    const pauses: number[] = []
    const scripted = await start((index) => (index < 4 ? framed(code) : OK))
    const tpm = await connect(scripted, pauses)
    expect(await outcome(tpm.run(FLUSH))).toBe('done')
    expect(scripted.commands).toHaveLength(5)
    expect(pauses).toEqual([1, 2, 4, 8])
  })

  it('gives up repeating within four seconds [tpm:device:retry]', async () => {
    const pauses: number[] = []
    const tpm = await connect(await start(() => framed(0x922)), pauses)
    expect(await outcome(tpm.run(FLUSH))).toBe('tpm command FlushContext failed with TPM_RC_RETRY (0x922)')
    expect(pauses.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(4000)
    expect(pauses.at(-1)).toBeGreaterThanOrEqual(1024)
  })

  it('does not repeat what the TPM refuses for good', async () => {
    const scripted = await start(() => framed(0x921))
    const tpm = await connect(scripted)
    expect(await outcome(tpm.run(FLUSH))).toBe('tpm command FlushContext failed with TPM_RC_LOCKOUT (0x921)')
    expect(scripted.commands).toHaveLength(1)
  })

  it('sends one command at a time, in order, and a refused one stops none of the others', async () => {
    let waiting = 0
    let most = 0
    const scripted = await start((index) => {
      most = Math.max(most, ++waiting)
      waiting--
      return index === 1 ? framed(0x1c4) : OK
    })
    const tpm = await connect(scripted)
    const results = await Promise.all([0, 1, 2, 3].map(() => outcome(tpm.run(FLUSH))))
    expect(results).toEqual(['done', 'tpm command FlushContext failed with TPM_RC_VALUE (0x1c4)', 'done', 'done'])
    expect(most).toBe(1)
  })

  it('does not wait for a TPM that hangs, and fails at once until it answers [tpm:device:hung]', async () => {
    const scripted = await start((index) => (index === 0 ? 'silence' : OK))
    const tpm = await connect(scripted, [], 50)
    const text =
      'TPM_HUNG: tpm PATH has not answered FlushContext within 50 ms: see dmesg, and who else keeps it busy (fuser PATH'
    expect(await outcome(tpm.run(FLUSH))).toContain(text)
    expect(await outcome(tpm.run(FLUSH))).toContain(text)
    expect(scripted.commands).toHaveLength(1)
    scripted.send(OK)
    await expect.poll(() => outcome(tpm.run(FLUSH))).toBe('done')
  })

  it.each<[string, Scripted, string]>([
    ['closes the connection', 'drop', 'TPM_LOST: tpm PATH closed the connection'],
    [
      'announces a response of no size',
      Buffer.from('80010000000000000000', 'hex'),
      'TPM_BROKEN: tpm PATH announced a response of 0 bytes',
    ],
    [
      'announces a huge response',
      Buffer.from('8001ffffffff00000000', 'hex'),
      'TPM_BROKEN: tpm PATH announced a response of 4294967295 bytes',
    ],
    ['answers twice', Buffer.concat([OK, OK]), 'TPM_BROKEN: tpm PATH sent more than one response to a command'],
  ])('names a TPM that %s', async (_title, answer, expected) => {
    const tpm = await connect(await start(() => answer))
    expect(await outcome(tpm.run(FLUSH))).toBe(expected)
    expect(await outcome(tpm.run(FLUSH))).toBe(expected)
  })

  it('takes a response in pieces', async () => {
    const scripted = await start(() => OK.subarray(0, 4))
    const tpm = await connect(scripted)
    const answer = tpm.run(FLUSH)
    await expect.poll(() => scripted.commands.length).toBe(1)
    scripted.send(OK.subarray(4, 9))
    scripted.send(OK.subarray(9))
    expect(await outcome(answer)).toBe('done')
  })

  it('runs nothing once it is closed', async () => {
    const tpm = await connect(await start(() => OK))
    await tpm.close()
    expect(await outcome(tpm.run(FLUSH))).toBe('TPM_CLOSED: tpm PATH is closed')
  })
})

function keep(scripted: ScriptedTpm): { kept: Kept<Tpm>; opened: () => number } {
  let count = 0
  const kept = new Kept(() => {
    count++
    return connect(scripted)
  })
  open.push(kept)
  return { kept, opened: () => count }
}

describe('Kept', () => {
  it('opens once for many uses, at the first', async () => {
    const { kept, opened } = keep(await start(() => OK))
    expect(opened()).toBe(0)
    await Promise.all([1, 2, 3].map(() => kept.use((tpm) => tpm.run(FLUSH))))
    await kept.use((tpm) => tpm.run(FLUSH))
    expect(opened()).toBe(1)
  })

  it.each<[string, Scripted]>([
    ['the connection is gone', 'drop'],
    ['the TPM no longer knows the handle', framed(0x910)],
    ['the TPM refuses the handle', framed(0x18b)],
  ])('opens anew, once and silently, when %s [tpm:device:lost]', async (_title, answer) => {
    const { kept, opened } = keep(await start((index) => (index === 0 ? answer : OK)))
    expect(await outcome(kept.use((tpm) => tpm.run(FLUSH)))).toBe('done')
    expect(opened()).toBe(2)
  })

  it('says what failed when it is lost again at once [tpm:device:lost]', async () => {
    const { kept, opened } = keep(await start(() => framed(0x910)))
    expect(await outcome(kept.use((tpm) => tpm.run(FLUSH)))).toBe(
      'tpm command FlushContext failed with TPM_RC_REFERENCE (0x910)',
    )
    expect(opened()).toBe(2)
  })

  it('does not open anew for a refusal, and does not keep an opening that failed', async () => {
    const { kept, opened } = keep(await start(() => framed(0x921)))
    expect(await outcome(kept.use((tpm) => tpm.run(FLUSH)))).toContain('TPM_RC_LOCKOUT')
    expect(opened()).toBe(1)
    let attempts = 0
    const failing = new Kept<Tpm>(async () => {
      attempts++
      throw new Error('no')
    })
    await expect(failing.use((tpm) => tpm.run(FLUSH))).rejects.toThrow('no')
    await expect(failing.use((tpm) => tpm.run(FLUSH))).rejects.toThrow('no')
    expect(attempts).toBe(2)
  })
})
