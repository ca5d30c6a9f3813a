import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flowsOf, speaks, tlsVersion } from '../../lab/tower/capture.ts'

const SYN = 0x02
const PORT = 8881

/** One TCP segment in an Ethernet frame, behind its length. */
function framed(sequence: number, payload: Buffer, flags = 0x10): Buffer {
  const frame = Buffer.alloc(14 + 20 + 20 + payload.length)
  frame.writeUInt16BE(0x0800, 12)
  frame[14] = 0x45
  frame.writeUInt16BE(40 + payload.length, 16)
  frame[23] = 6
  frame.set([10, 10, 2, 70], 26)
  frame.set([10, 10, 2, 62], 30)
  frame.writeUInt16BE(40_000, 34)
  frame.writeUInt16BE(PORT, 36)
  frame.writeUInt32BE(sequence >>> 0, 38)
  frame[46] = 0x50
  frame[47] = flags
  frame.set(payload, 54)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(frame.length)
  return Buffer.concat([length, frame])
}

const record = (type: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, 3, 3, body.length >> 8, body.length & 0xff]), body])

function hello(extensions: readonly number[]): Buffer {
  const body = Buffer.from([3, 3, ...Array<number>(32).fill(7), 0, 0x13, 1, 0, 0, extensions.length, ...extensions])
  return record(22, Buffer.concat([Buffer.from([2, 0, 0, body.length]), body]))
}

describe('flowsOf', () => {
  it('puts a flow together whatever the order and however often a segment is seen, also over the end of the numbers', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        (parts, first, order) => {
          let next = first + 1
          const segments = parts.map((part) => {
            const segment = framed(next, Buffer.from(part))
            next += part.length
            return segment
          })
          const shuffled = [...segments, ...segments]
            .map((segment) => ({ segment, at: Number(order.next().value) }))
            .toSorted((one, other) => one.at - other.at)
            .map(({ segment }) => segment)
          const begin = framed(first, Buffer.alloc(0), SYN)
          const [flow, ...others] = flowsOf(Buffer.concat([begin, begin, ...shuffled]))
          expect(others).toEqual([])
          expect(flow).toMatchObject({ from: '10.10.2.70', fromPort: 40_000, to: '10.10.2.62', toPort: PORT })
          expect(flow?.bytes).toEqual(Buffer.concat(parts))
        },
      ),
    )
  })

  it('gives what came before a gap, and begins anew when a port is used again', () => {
    const flows = flowsOf(
      Buffer.concat([
        framed(100, Buffer.alloc(0), SYN),
        framed(101, Buffer.from('one')),
        framed(110, Buffer.from('lost the middle')),
        framed(500, Buffer.alloc(0), SYN),
        framed(501, Buffer.from('two')),
      ]),
    )
    expect(flows.map(({ bytes }) => bytes.toString())).toEqual(['one', 'two'])
  })

  it('reads any bytes without an error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 5 }), (frames) => {
        const capture = frames.map((frame) => {
          const length = Buffer.alloc(4)
          length.writeUInt32BE(frame.length)
          return Buffer.concat([length, frame])
        })
        expect(Array.isArray(flowsOf(Buffer.concat([...capture, Buffer.from([0, 0])])))).toBe(true)
      }),
    )
  })
})

describe('speaks', () => {
  it('knows TLS by its records from first to last, and HTTP by its first words', () => {
    const tls = Buffer.concat([record(22, Buffer.alloc(300)), record(23, Buffer.alloc(9))])
    expect(speaks(tls)).toBe('tls')
    expect(speaks(tls.subarray(0, -3))).toBe('tls')
    expect(speaks(Buffer.concat([tls, Buffer.from('GET /')]))).toBe('other')
    expect(speaks(Buffer.from('POST /v2.6/agents HTTP/1.1\r\n'))).toBe('http')
    expect(speaks(Buffer.from('HTTP/1.1 200 OK\r\n'))).toBe('http')
    expect(speaks(Buffer.from([0x80, 1, 0, 0, 0, 10]))).toBe('other')
    expect(speaks(Buffer.alloc(0))).toBe('nothing')
  })

  it('says something of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(speaks(Buffer.from(bytes))).toMatch(/^[a-z]+$/)
      }),
    )
  })
})

describe('tlsVersion', () => {
  it('reads the version a server chose', () => {
    expect(tlsVersion(hello([0, 51, 0, 1, 9, 0, 43, 0, 2, 3, 4]))).toBe(0x0304)
    expect(tlsVersion(hello([0xff, 1, 0, 1, 0]))).toBe(0x0303)
    expect(tlsVersion(Buffer.from('HTTP/1.1 200 OK'))).toBeUndefined()
  })

  it('reads any bytes without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 90 }), (bytes) => {
        const looking = Buffer.from(bytes)
        looking[0] = 22
        looking[5] = 2
        expect(tlsVersion(looking)).toBeTypeOf('number')
      }),
    )
  })
})
