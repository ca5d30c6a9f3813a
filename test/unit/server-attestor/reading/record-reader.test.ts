import { describe, expect, it } from 'vitest'
import type { AgentRecord } from '../../../../plugins/keylime/api/v2/agent-record.ts'
import type { AgentRecords } from '../../../../plugins/keylime/api/verifier-client.ts'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import { type AgentId, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { RecordReader, type RecordSource } from '../../../../server-attestor/reading/record-reader.ts'
import { agentRecord } from '../agent-record.ts'
import { holding } from '../expecting.ts'

const alive = new AbortController().signal
const settle = () => new Promise((resolve) => setImmediate(resolve))

/** A verifier whose answers come when the test says so. */
class SlowVerifier implements RecordSource {
  readonly singles: {
    readonly agentId: string
    readonly signal: AbortSignal
    readonly answer: PromiseWithResolvers<AgentRecord>
  }[] = []
  readonly bulks: { readonly expectedAgents: number; readonly answer: PromiseWithResolvers<AgentRecords> }[] = []
  lists = 0
  enrolled: readonly AgentId[] = []

  getAgent(agentId: AgentId, { signal }: { readonly signal: AbortSignal }): Promise<AgentRecord> {
    const answer = Promise.withResolvers<AgentRecord>()
    this.singles.push({ agentId, signal, answer })
    return answer.promise
  }

  getAgents({ expectedAgents }: { readonly expectedAgents: number }): Promise<AgentRecords> {
    const answer = Promise.withResolvers<AgentRecords>()
    this.bulks.push({ expectedAgents, answer })
    return answer.promise
  }

  getAgentIds(): Promise<readonly AgentId[]> {
    this.lists += 1
    return Promise.resolve(this.enrolled)
  }
}

/** Does not wait for more to come. */
function newReader(verifier: RecordSource, clock: () => number = () => performance.now()): RecordReader {
  return new RecordReader(verifier, { clock, pause: () => Promise.resolve() })
}

function nodes(count: number): readonly AgentId[] {
  return Array.from({ length: count }, (_, index) => parseAgentId(`node-${String(index)}`))
}

function bulkOf(ids: readonly AgentId[], broken?: AgentId): AgentRecords {
  return {
    size: ids.length,
    agentIds: ids,
    get: (agentId) => {
      if (agentId === broken) throw new KeylimeError('KEYLIME_BAD_RESPONSE', 'malformed')
      return ids.includes(agentId) ? agentRecord({ agentId }) : undefined
    },
  }
}

describe('RecordReader', () => {
  it('reads one by one, a few at a time, while few ask', async () => {
    const verifier = new SlowVerifier()
    const reader = newReader(verifier)
    const reads = nodes(10).map((id) => reader.read(id, { signal: alive }))
    expect([verifier.singles.length, reader.waiting, verifier.lists]).toEqual([8, 2, 0])
    for (let index = 0; index < 10; index += 1) {
      verifier.singles[index]?.answer.resolve(agentRecord({ attestationCount: index }))
      await settle()
    }
    expect((await Promise.all(reads)).map(({ record }) => record.attestationCount)).toEqual([...Array(10).keys()])
  })

  it('shares one read among those who ask for the same node before it has begun, and begins another for later ones', async () => {
    const verifier = new SlowVerifier()
    const reader = newReader(verifier)
    const [busy, same] = [nodes(8), parseAgentId('same')]
    const filling = busy.map((id) => reader.read(id, { signal: alive }))
    const early = [reader.read(same, { signal: alive }), reader.read(same, { signal: alive })]
    verifier.singles[0]?.answer.resolve(agentRecord())
    await settle()
    const late = reader.read(same, { signal: alive })
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await settle()
    verifier.singles[9]?.answer.resolve(agentRecord())
    await Promise.all([...filling, ...early, late])
    expect(verifier.singles.filter(({ agentId }) => agentId === 'same')).toHaveLength(2)
  })

  it('in a storm counts the enrolled agents first, and shares one bulk read among more than a sixth of them', async () => {
    const verifier = new SlowVerifier()
    const ids = nodes(200)
    verifier.enrolled = ids
    const reader = newReader(verifier)
    const reads = ids.slice(0, 60).map((id) => reader.read(id, { signal: alive }))
    await settle()
    expect([verifier.lists, verifier.singles.length, verifier.bulks.length]).toEqual([1, 8, 1])
    expect(verifier.bulks[0]?.expectedAgents).toBe(200)
    verifier.bulks[0]?.answer.resolve(bulkOf(ids))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(reads)
    expect([verifier.singles.length, verifier.bulks.length]).toEqual([8, 1])
  })

  it('sees a storm coming from how many asked lately, though single reads still keep up with half of it', async () => {
    let now = 0
    const verifier = new SlowVerifier()
    const ids = nodes(1_000)
    verifier.enrolled = ids
    const reader = newReader(verifier, () => now)
    const reads: Promise<unknown>[] = []
    let answered = 0
    // A shared read takes 400 ms here and is worth 154 single ones; 250 a step come in, 200 a step are answered.
    for (const id of ids.slice(0, 250)) {
      reads.push(reader.read(id, { signal: alive }))
      if (reads.length % 5 === 0) now += 1
      await settle()
      if (verifier.bulks.length > 0) break
      if (reads.length % 5 !== 0) verifier.singles[answered++]?.answer.resolve(agentRecord())
    }
    expect(verifier.bulks.length).toBe(1)
    expect(reads.length).toBeGreaterThan(154)
    expect(reads.length).toBeLessThan(250)
    verifier.bulks[0]?.answer.resolve(bulkOf(ids))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(reads)
  })

  it('waits for those who are still coming before it begins a bulk read, and not for ever', async () => {
    const verifier = new SlowVerifier()
    const ids = nodes(500)
    verifier.enrolled = ids
    const reads: Promise<unknown>[] = []
    let next = 0
    const ask = (count: number): void => {
      for (const id of ids.slice(next, next + count)) reads.push(reader.read(id, { signal: alive }))
      next += count
    }
    const pauses: number[] = []
    const reader = new RecordReader(verifier, {
      clock: () => pauses.length * 25,
      pause: (ms) => {
        pauses.push(ms)
        ask(20)
        return Promise.resolve()
      },
    })
    ask(250)
    while (verifier.bulks.length === 0) await settle()
    // One and a half times the 200 ms which the bulk read takes: twelve pauses, though a storm still comes in.
    expect([verifier.bulks.length, pauses]).toEqual([1, Array.from({ length: 12 }, () => 25)])
    verifier.bulks[0]?.answer.resolve(bulkOf(ids))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(reads)
    expect([reads.length, verifier.singles.length, verifier.bulks.length]).toEqual([490, 8, 1])
  })

  it('puts a bulk read off while opinions keep the verifier busy for longer than half of it, and not for ever [scale:storm:put-off]', async () => {
    const verifier = new SlowVerifier()
    verifier.enrolled = nodes(500)
    let [opinions, pauses] = [100, 0]
    const reader = new RecordReader(verifier, {
      clock: () => pauses * 25,
      pause: () => {
        pauses += 1
        // Nobody else comes; 34 opinions are the 100 ms that are half of this bulk read.
        opinions -= 13
        return Promise.resolve()
      },
      opinionsWaiting: () => opinions,
    })
    const reads = nodes(100).map((id) => reader.read(id, { signal: alive }))
    while (verifier.bulks.length === 0) await settle()
    expect([pauses, opinions]).toEqual([6, 22])
    verifier.bulks[0]?.answer.resolve(bulkOf(verifier.enrolled))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(reads)
  })

  it('never answers from a bulk read that began before the question, since the proof is newer', async () => {
    const verifier = new SlowVerifier()
    const ids = nodes(100)
    verifier.enrolled = ids
    const reader = newReader(verifier)
    const early = ids.slice(0, 50).map((id) => reader.read(id, { signal: alive }))
    await settle()
    const late = ids.slice(50).map((id) => reader.read(id, { signal: alive }))
    await settle()
    expect([verifier.bulks.length, reader.waiting]).toEqual([1, 50])
    verifier.bulks[0]?.answer.resolve(bulkOf(ids))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(early)
    await settle()
    expect(verifier.bulks.length).toBe(2)
    verifier.bulks[1]?.answer.resolve(bulkOf(ids))
    expect(await Promise.all(late)).toHaveLength(50)
    expect(verifier.singles).toHaveLength(8)
  })

  it('reads one by one when the waiting are few among the enrolled, or the enrolled too many for one answer', async () => {
    for (const count of [1_000, 50_000]) {
      const verifier = new SlowVerifier()
      verifier.enrolled = Array.from({ length: count }, () => parseAgentId('other'))
      const reader = newReader(verifier)
      const reads = nodes(60).map((id) => reader.read(id, { signal: alive }))
      for (let index = 0; index < 60; index += 1) {
        await settle()
        verifier.singles[index]?.answer.resolve(agentRecord())
      }
      await Promise.all(reads)
      expect([verifier.lists, verifier.bulks.length]).toEqual([1, 0])
    }
  })

  it('says "not enrolled" to whom the bulk read does not hold, and a malformed record hurts its own node only', async () => {
    const verifier = new SlowVerifier()
    const ids = nodes(60)
    verifier.enrolled = ids
    const reader = newReader(verifier)
    const reads = ids.map((id) => reader.read(id, { signal: alive }).catch((error: unknown) => error))
    await settle()
    verifier.bulks[0]?.answer.resolve(bulkOf(ids.slice(0, 58), ids[40]))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    const answers = await Promise.all(reads)
    expect(answers.filter((answer) => answer instanceof Error)).toMatchObject([
      { code: 'KEYLIME_BAD_RESPONSE' },
      { code: 'KEYLIME_AGENT_UNKNOWN', message: holding('not among the 58 enrolled') },
      { code: 'KEYLIME_AGENT_UNKNOWN' },
    ])
  })

  it('counts the enrolled agents once a minute at most, however many unknown ones are asked for [claims:fate:strangers]', async () => {
    let now = 0
    const verifier = new SlowVerifier()
    verifier.enrolled = nodes(9_000)
    const reader = newReader(verifier, () => now)
    for (const minute of [0, 59_999, 60_000]) {
      now = minute
      const reads = nodes(64).map((id) => reader.read(id, { signal: alive }))
      const outcomes = Promise.allSettled(reads)
      await settle()
      for (let done = 0; done < verifier.singles.length; done += 1) {
        verifier.singles[done]?.answer.reject(new KeylimeError('KEYLIME_AGENT_UNKNOWN', '404'))
        await settle()
      }
      expect((await outcomes).every(({ status }) => status === 'rejected')).toBe(true)
      expect(verifier.lists).toBe(minute < 60_000 ? 1 : 2)
    }
  })

  it('goes on one by one when the bulk read fails, and leaves it alone for a minute', async () => {
    let now = 0
    const verifier = new SlowVerifier()
    const ids = nodes(100)
    verifier.enrolled = ids
    const reader = newReader(verifier, () => now)
    const reads = ids.map((id) => reader.read(id, { signal: alive }))
    await settle()
    verifier.bulks[0]?.answer.reject(new KeylimeError('KEYLIME_TIMEOUT', 'too slow'))
    for (let index = 0; index < 100; index += 1) {
      await settle()
      verifier.singles[index]?.answer.resolve(agentRecord())
    }
    await Promise.all(reads)
    expect([verifier.bulks.length, verifier.singles.length]).toEqual([1, 100])
    now = 61_000
    const again = ids.map((id) => reader.read(id, { signal: alive }))
    await settle()
    expect(verifier.bulks.length).toBe(2)
    verifier.bulks[1]?.answer.resolve(bulkOf(ids))
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(again)
  })

  it('forgets a caller that has gone, and cancels a read that nobody waits for', async () => {
    const verifier = new SlowVerifier()
    const reader = newReader(verifier)
    const callers = [new AbortController(), new AbortController()]
    const reads = nodes(9).map((id, index) =>
      reader.read(id, {
        signal: index === 0 ? (callers[0]?.signal ?? alive) : index === 8 ? (callers[1]?.signal ?? alive) : alive,
      }),
    )
    for (const caller of callers) caller.abort(new Error('gone'))
    await expect(reads[0]).rejects.toThrow('gone')
    await expect(reads[8]).rejects.toThrow('gone')
    expect([verifier.singles[0]?.signal.aborted, reader.waiting]).toEqual([true, 0])
    await expect(reader.read(parseAgentId('x'), { signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow(
      'gone',
    )
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    await Promise.all(reads.slice(1, 8))
  })

  it('sends away the reads that have not begun, and goes on with those that have', async () => {
    const verifier = new SlowVerifier()
    const reader = newReader(verifier)
    const reads = nodes(10).map((id) => reader.read(id, { signal: alive }))
    const ends = Promise.allSettled(reads)
    reader.release(new KeylimeError('KEYLIME_TIMEOUT', 'hangs'))
    expect(reader.waiting).toBe(0)
    for (const single of verifier.singles) single.answer.resolve(agentRecord())
    const later = reader.read(parseAgentId('later'), { signal: alive })
    await settle()
    verifier.singles.at(-1)?.answer.resolve(agentRecord())
    await later
    expect((await ends).map(({ status }) => status)).toEqual([
      ...Array<string>(8).fill('fulfilled'),
      'rejected',
      'rejected',
    ])
  })
})
