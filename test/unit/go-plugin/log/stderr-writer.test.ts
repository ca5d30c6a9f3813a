import { describe, expect, it } from 'vitest'
import { newStderrWriter, type WriteCall } from '../../../../plugins/go-plugin/log/stderr-writer.ts'

function failing(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** A pipe that takes `room` bytes, and then says EAGAIN. */
function pipe(room: number): { text: () => string; widen: (bytes: number) => void; write: WriteCall } {
  const taken: Buffer[] = []
  let left = room
  return {
    text: () => Buffer.concat(taken).toString(),
    widen: (bytes) => {
      left += bytes
    },
    write: (bytes) => {
      if (left === 0) throw failing('EAGAIN')
      const size = Math.min(left, bytes.length)
      taken.push(Buffer.from(bytes.subarray(0, size)))
      left -= size
      return size
    },
  }
}

describe('newStderrWriter', () => {
  it('writes a line that the pipe takes in pieces', () => {
    const taken: string[] = []
    const write = newStderrWriter((bytes) => {
      taken.push(String.fromCharCode(bytes[0] ?? 0))
      return 1
    })
    write('hello')
    expect(taken.join('')).toBe('hello\n')
  })

  it('waits for a host that is slow to read', () => {
    const slow = pipe(3)
    let refusals = 0
    const write = newStderrWriter((bytes) => {
      try {
        return slow.write(bytes)
      } catch (error) {
        refusals += 1
        slow.widen(2)
        throw error
      }
    })
    write('hello')
    expect(slow.text()).toBe('hello\n')
    expect(refusals).toBeGreaterThan(0)
  })

  it('drops lines of a host that has stopped reading, and says how many when it reads again', () => {
    const stuck = pipe(4)
    const write = newStderrWriter(stuck.write)
    write('first line')
    write('second')
    stuck.widen(1000)
    write('third')
    expect(stuck.text()).toBe('firs\n[WARN] the host did not read stderr: 2 log lines were dropped\nthird\n')
  })

  it.each(['EPIPE', 'EBADF', 'EIO'])('falls silent for ever on %s, and never throws', (code) => {
    let calls = 0
    const write = newStderrWriter(() => {
      calls += 1
      throw failing(code)
    })
    for (let i = 0; i < 3; i++) write('line')
    expect(calls).toBe(1)
  })
})
