import { describe, expect, it } from 'vitest'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import { newFailure } from '../../../../plugins/keylime/basis/failures.ts'
import { type AgentId, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { Asker } from '../../../../server-attestor/reading/lanes.ts'
import { type RecordSource, RegistrarRecords } from '../../../../server-attestor/reading/registrar-records.ts'

const NODE = parseAgentId('node-1')
const KNOWN: Asker = { isKnown: true, caller: undefined }
const STRANGER: Asker = { isKnown: false, caller: '192.0.2.1' }
const alive = new AbortController().signal

function record(agentId: AgentId, ak = 'ak'): RegistrarRecord {
  return { agentId, akTpm: Buffer.from(ak), ekTpm: Buffer.from('ek'), ip: '127.0.0.1', port: 9002 }
}

interface Begun {
  readonly signal: AbortSignal
  readonly begin: () => void
  readonly resolve: (read: RegistrarRecord) => void
  readonly reject: (error: Error) => void
}

/** Records whose reads begin and end when the test says so. */
function scene(readEach: RecordSource['readEach'] = () => []) {
  const clock = { now: 0 }
  const begun: Begun[] = []
  const source: RecordSource = {
    read: (_agentId, _asker, signal, begin) => {
      const { promise, resolve, reject } = Promise.withResolvers<RegistrarRecord>()
      begun.push({ signal, begin, resolve, reject })
      return promise
    },
    readEach,
  }
  const nth = async (n: number): Promise<Begun> => {
    await expect.poll(() => begun.length, { interval: 1 }).toBeGreaterThan(n)
    const one = begun[n]
    if (one === undefined) throw new Error(`read ${n} has not begun`)
    return one
  }
  return { records: new RegistrarRecords(source, () => clock.now), begun, nth, clock }
}

describe('RegistrarRecords', () => {
  it('remembers no record of a stranger, and that of an admitted node for two hours [claims:fate:strangers]', async () => {
    const { records, nth, clock } = scene()
    const reading = records.read(NODE, STRANGER, alive)
    ;(await nth(0)).resolve(record(NODE))
    const { record: read } = await reading
    expect(records.remembered(NODE)).toBeUndefined()
    records.remember(read)
    clock.now = 7_199_999
    expect(records.remembered(NODE)).toBe(read)
    clock.now = 7_200_000
    expect(records.remembered(NODE)).toBeUndefined()
  })

  it('gives the object that is remembered for unchanged keys, so that they are parsed once, and a new one for new keys', async () => {
    const { records, nth } = scene()
    const first = record(NODE)
    records.remember(first)
    for (const [round, ak] of ['ak', 'new ak'].entries()) {
      const reading = records.read(NODE, KNOWN, alive)
      ;(await nth(round)).resolve(record(NODE, ak))
      const { record: read } = await reading
      expect(read === first).toBe(ak === 'ak')
      expect(read.akTpm.toString()).toBe(ak)
    }
  })

  it('joins a read that has not begun, and never one that has [claims:cache:one-version]', async () => {
    const { records, begun, nth, clock } = scene()
    const [one, two] = [records.read(NODE, KNOWN, alive), records.read(NODE, KNOWN, alive)]
    const first = await nth(0)
    expect(begun).toHaveLength(1)
    clock.now = 5
    first.begin()
    // The ID passes to another TPM while the read is on its way.
    const late = records.read(NODE, KNOWN, alive)
    first.resolve(record(NODE, 'old'))
    const second = await nth(1)
    clock.now = 9
    second.begin()
    second.resolve(record(NODE, 'new'))
    const shown = (await Promise.all([one, two, late])).map((read) => [String(read.record.akTpm), read.readAt])
    expect(shown).toEqual([
      ['old', 5],
      ['old', 5],
      ['new', 9],
    ])
  })

  it('has one read of an ID under way at a time, and a known node waits for none of a stranger', async () => {
    const { records, begun, nth } = scene()
    const first = records.read(NODE, STRANGER, alive)
    ;(await nth(0)).begin()
    const second = records.read(NODE, STRANGER, alive)
    const known = records.read(NODE, KNOWN, alive)
    ;(await nth(1)).resolve(record(NODE))
    await known
    expect(begun).toHaveLength(2)
    ;(await nth(0)).resolve(record(NODE))
    ;(await nth(2)).resolve(record(NODE))
    await Promise.all([first, second])
  })

  it('ends a read when nobody waits for it any more, and not before', async () => {
    const { records, nth } = scene()
    const [one, two] = [new AbortController(), new AbortController()]
    const both = Promise.allSettled([records.read(NODE, KNOWN, one.signal), records.read(NODE, KNOWN, two.signal)])
    const { signal } = await nth(0)
    one.abort(new Error('gone'))
    await Promise.resolve()
    expect(signal.aborted).toBe(false)
    two.abort(new Error('gone'))
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(signal.aborted).toBe(true)
  })

  it('fails for the one who began the read; those who waited for it ask again [claims:fate:one-request]', async () => {
    const { records, nth } = scene()
    const both = Promise.allSettled([records.read(NODE, KNOWN, alive), records.read(NODE, KNOWN, alive)])
    ;(await nth(0)).reject(newFailure('server-error', 'failed with 500'))
    ;(await nth(1)).resolve(record(NODE))
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })

  it('asks every registrar when a record fits nothing, and says when one of them could not answer', async () => {
    const away = new KeylimeError('KEYLIME_UNREACHABLE', 'refused')
    const unknown = new KeylimeError('KEYLIME_AGENT_UNKNOWN', '404')
    const { records } = scene((id) => [
      Promise.resolve(record(id)),
      Promise.resolve(record(id, 'other')),
      Promise.reject(unknown),
      Promise.reject(away),
    ])
    const { records: found, failure } = await records.others(record(NODE), KNOWN, alive)
    expect(found.map(({ akTpm }) => akTpm.toString())).toEqual(['other'])
    expect(failure).toBe(away)
  })

  it('asks nobody else where there is one registrar', async () => {
    const { records } = scene()
    expect(await records.others(record(NODE), KNOWN, alive)).toEqual({ records: [], failure: undefined })
  })
})
