import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { newHostLogParser } from '../../../../plugins/go-plugin/host/host-log.ts'
import { OutputCapture } from '../../../../plugins/go-plugin/serve/output-capture.ts'

const NEVER = new AbortController().signal

describe('OutputCapture', () => {
  it('gives each byte once, in order, with its channel [C19]', async () => {
    const capture = new OutputCapture()
    const waiting = capture.next(NEVER)
    capture.push(1, Buffer.from('a'))
    capture.push(2, Buffer.from('b'))
    expect(await waiting).toEqual({ channel: 1, data: Buffer.from('a') })
    expect(await capture.next(NEVER)).toEqual({ channel: 2, data: Buffer.from('b') })
  })

  it('keeps bytes of its own, whatever the printer does with its buffer', async () => {
    const capture = new OutputCapture()
    const buffer = Buffer.from('before')
    capture.push(1, buffer)
    buffer.write('after!')
    expect((await capture.next(NEVER))?.data.toString()).toBe('before')
  })

  it('keeps the newest megabyte and says what it dropped [C20]', async () => {
    const capture = new OutputCapture()
    for (let i = 0; i < 100; i++) capture.push(1, Buffer.alloc(32 * 1024, i))
    const notice = await capture.next(NEVER)
    expect(notice?.data.toString()).toBe(
      `... ${68 * 32 * 1024} bytes of older output were dropped: nobody had read them\n`,
    )
    expect((await capture.next(NEVER))?.data[0]).toBe(68)
  })

  it('lets a reader go without losing what comes after', async () => {
    const capture = new OutputCapture()
    const cancel = new AbortController()
    const gone = capture.next(cancel.signal)
    cancel.abort()
    expect(await gone).toBeUndefined()
    expect(await capture.next(cancel.signal)).toBeUndefined()
    capture.push(1, Buffer.from('x'))
    expect((await capture.next(NEVER))?.data.toString()).toBe('x')
  })

  it('empties into lines that no host takes for JSON [C22]', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json().map((json) => ` \n\t${json}`),
      fc.constant('{"@message":7}\n  {"@level":{}}'),
    )
    fc.assert(
      fc.property(fc.array(text), (texts) => {
        const capture = new OutputCapture()
        for (const item of texts) capture.push(2, Buffer.from(item))
        const parse = newHostLogParser()
        for (const line of capture.drainForStderr().split('\n')) expect(parse(line).hostPanics).toBe(false)
      }),
    )
  })
})
