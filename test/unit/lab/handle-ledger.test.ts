import { describe, expect, it } from 'vitest'
import { changeOf, flushCommand, HandleLedger, mayLoad } from '../../lab/services/handle-ledger.ts'

const OBJECT = 0x80000001
const SESSION = 0x03000000
const PCR = 0x0000000a

const LOAD = 0x157
const START_AUTH_SESSION = 0x176
const CONTEXT_SAVE = 0x162
const CONTEXT_LOAD = 0x161
const EVENT_SEQUENCE_COMPLETE = 0x185
const PCR_READ = 0x17e

function frame(code: number, ...handles: readonly number[]): Buffer {
  const bytes = Buffer.alloc(10 + handles.length * 4)
  bytes.writeUInt16BE(0x8001, 0)
  bytes.writeUInt32BE(bytes.length, 2)
  bytes.writeUInt32BE(code, 6)
  for (const [index, handle] of handles.entries()) bytes.writeUInt32BE(handle, 10 + index * 4)
  return bytes
}

describe('changeOf', () => {
  it('sees what was loaded in the response, and what was flushed in the command', () => {
    expect(changeOf(frame(LOAD, 0x81000000), frame(0, OBJECT))).toEqual({ loaded: OBJECT })
    expect(changeOf(frame(START_AUTH_SESSION), frame(0, SESSION))).toEqual({ loaded: SESSION })
    expect(changeOf(frame(CONTEXT_LOAD), frame(0, SESSION))).toEqual({ loaded: SESSION })
    expect(changeOf(flushCommand(OBJECT), frame(0))).toEqual({ gone: OBJECT })
    expect(changeOf(frame(EVENT_SEQUENCE_COMPLETE, PCR, OBJECT), frame(0))).toEqual({ gone: OBJECT })
  })

  it('takes a saved session from its client, and leaves it a saved object, which stays loaded', () => {
    expect(changeOf(frame(CONTEXT_SAVE, SESSION), frame(0))).toEqual({ gone: SESSION })
    expect(changeOf(frame(CONTEXT_SAVE, OBJECT), frame(0))).toBeUndefined()
  })

  it('sees nothing in a command that failed, that loads nothing, or that is cut off', () => {
    expect(changeOf(frame(LOAD, 0x81000000), frame(0x902))).toBeUndefined()
    expect(changeOf(frame(PCR_READ), frame(0, OBJECT))).toBeUndefined()
    expect(changeOf(frame(LOAD), frame(0))).toBeUndefined()
    expect(changeOf(Buffer.alloc(3), Buffer.alloc(3))).toBeUndefined()
    expect(changeOf(frame(0x165), frame(0))).toBeUndefined()
  })
})

describe('mayLoad', () => {
  it('tells loading commands from others', () => {
    expect(mayLoad(frame(LOAD))).toBe(true)
    expect(mayLoad(frame(PCR_READ))).toBe(false)
    expect(mayLoad(Buffer.alloc(4))).toBe(false)
  })
})

describe('HandleLedger', () => {
  it('gives back all that a client left, sessions last', () => {
    const ledger = new HandleLedger<string>()
    ledger.enter(SESSION, 'agent')
    ledger.enter(OBJECT, 'agent')
    ledger.enter(OBJECT + 1, 'tool')
    expect([...ledger.clients()]).toEqual(['agent', 'tool'])
    expect(ledger.strike('agent')).toEqual([OBJECT, SESSION])
    expect(ledger.strike('agent')).toEqual([])
    expect([...ledger.clients()]).toEqual(['tool'])
  })

  it('leaves out what was flushed, and what nobody is known to own', () => {
    const ledger = new HandleLedger<string>()
    ledger.enter(OBJECT, 'agent')
    ledger.forget(OBJECT)
    ledger.enter(SESSION, 'agent')
    ledger.enter(SESSION, undefined)
    expect(ledger.strike('agent')).toEqual([])
  })

  it('gives a handle that was handed out again to whoever got it last', () => {
    const ledger = new HandleLedger<string>()
    ledger.enter(OBJECT, 'first')
    ledger.enter(OBJECT, 'second')
    expect(ledger.strike('first')).toEqual([])
    expect(ledger.strike('second')).toEqual([OBJECT])
  })
})

describe('flushCommand', () => {
  it('words TPM2_FlushContext', () => {
    expect(flushCommand(OBJECT).toString('hex')).toBe(`80010000000e00000165${OBJECT.toString(16)}`)
  })
})
