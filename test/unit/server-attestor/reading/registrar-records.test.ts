import { describe, expect, it } from 'vitest'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import { type AgentId, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { RECORD_TTL_MS, RegistrarRecords } from '../../../../server-attestor/reading/registrar-records.ts'

const NODE = parseAgentId('node-1')
const alive = new AbortController().signal

function record(agentId: AgentId, ak = 'ak'): RegistrarRecord {
  return { agentId, akTpm: Buffer.from(ak), ekTpm: Buffer.from('ek'), ip: '127.0.0.1', port: 9002 }
}

describe('RegistrarRecords', () => {
  it('reads once a minute, and says whether the record may be old', async () => {
    let [now, reads] = [0, 0]
    const records = new RegistrarRecords(
      (id) => {
        reads += 1
        return Promise.resolve(record(id))
      },
      () => now,
    )
    expect(await records.get(NODE, alive)).toMatchObject({ cached: false })
    now = RECORD_TTL_MS - 1
    expect(await records.get(NODE, alive)).toMatchObject({ cached: true })
    now = RECORD_TTL_MS
    expect(await records.get(NODE, alive)).toMatchObject({ cached: false })
    expect(reads).toBe(2)
  })

  it('keeps the same object for unchanged keys, so that they are parsed once, and a new one for new keys', async () => {
    let ak = 'ak'
    const records = new RegistrarRecords((id) => Promise.resolve(record(id, ak)))
    const first = await records.refresh(NODE, alive)
    expect(await records.refresh(NODE, alive)).toBe(first)
    ak = 'new ak'
    const renewed = await records.refresh(NODE, alive)
    expect(renewed).not.toBe(first)
    expect(renewed.akTpm.toString()).toBe('new ak')
  })

  it('shares one read among callers, and one that leaves does not end it for the others', async () => {
    const answer = Promise.withResolvers<RegistrarRecord>()
    let reads = 0
    const records = new RegistrarRecords(() => {
      reads += 1
      return answer.promise
    })
    const leaving = new AbortController()
    const [left, stayed] = [records.get(NODE, leaving.signal), records.get(NODE, alive)]
    leaving.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    answer.resolve(record(NODE))
    expect(await stayed).toMatchObject({ cached: false })
    expect(reads).toBe(1)
  })

  it('remembers no failure', async () => {
    let fails = true
    const records = new RegistrarRecords((id) =>
      fails ? Promise.reject(new Error('away')) : Promise.resolve(record(id)),
    )
    await expect(records.get(NODE, alive)).rejects.toThrow('away')
    fails = false
    expect(await records.get(NODE, alive)).toMatchObject({ cached: false })
  })

  it('asks every registrar when a record fits nothing, and says when one of them could not answer', async () => {
    const away = new KeylimeError('KEYLIME_UNREACHABLE', 'refused')
    const unknown = new KeylimeError('KEYLIME_AGENT_UNKNOWN', '404')
    const first = record(NODE)
    const records = new RegistrarRecords(
      () => Promise.resolve(first),
      () => 0,
      (id) => [
        Promise.resolve(record(id)),
        Promise.resolve(record(id, 'other')),
        Promise.reject(unknown),
        Promise.reject(away),
      ],
    )
    const { records: found, failure } = await records.others(first, alive)
    expect(found.map(({ akTpm }) => akTpm.toString())).toEqual(['other'])
    expect(failure).toBe(away)
  })

  it('asks nobody else where there is one registrar', async () => {
    const records = new RegistrarRecords((id) => Promise.resolve(record(id)))
    expect(await records.others(record(NODE), alive)).toEqual({ records: [], failure: undefined })
  })
})
