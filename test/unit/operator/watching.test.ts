import { createHash } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { SpireConnection } from '@tower-of-omens/spire-api'
import { array, assert, asyncProperty, constantFrom, property, string } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Actor } from '../../../operator/watch/act.ts'
import { AuditLog, auditLine, brokenLink } from '../../../operator/watch/audit.ts'
import { RingBudget } from '../../../operator/watch/bell.ts'
import { LOOK_LIMIT_MS, type LookEnd, Looks } from '../../../operator/watch/looks.ts'
import { ringOf } from '../../../operator/watch/ring.ts'
import { FakeSpireServer } from '../../fakes/fake-spire-server.ts'

const agentId = parseAgentId('node-1')
const NOW = 1_800_000_000

const healthy: AgentRecord = {
  agentId,
  operationalState: 3,
  tpmPolicy: '{}',
  hasRuntimePolicy: false,
  hasMbRefstate: false,
  acceptTpmHashAlgs: [],
  lastSuccessfulAttestation: NOW,
  receivedAt: NOW,
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watching-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Time that moves only when somebody sleeps. */
function steadyTime(): { now: () => number; sleep: (ms: number) => Promise<boolean> } {
  let at = 0
  return {
    now: () => at,
    sleep: (ms) => {
      at += ms
      return Promise.resolve(true)
    },
  }
}

describe('a look after a bell', () => {
  it('ends as soon as the record gives the reason, at once when it does so at once', async () => {
    expect(await lookAt([{ operationalState: 9 }])).toMatchObject({ how: 'cut', ms: 0, reads: 1, left: 0 })
  })

  it('goes on while the record still says what it said before the bell', async () => {
    const stale = Array.from({ length: 8 }, () => ({}))
    expect(await lookAt([...stale, { operationalState: 9 }])).toMatchObject({ how: 'cut', ms: 4_550, reads: 9 })
  })

  it('goes on for a minute, through failures of the verifier, since it may store the record that late', async () => {
    const late = [
      ...Array.from({ length: 60 }, (_, index) => (index % 3 === 0 ? ('failed' as const) : {})),
      { operationalState: 9 },
    ]
    expect(await lookAt(late)).toMatchObject({ how: 'cut', reads: 61 })
  })

  it('ends with a success newer than the bell: it was about what is over', async () => {
    const renewed = { lastSuccessfulAttestation: NOW + 2, receivedAt: NOW + 2 }
    expect(await lookAt([{}, {}, renewed])).toMatchObject({ how: 'newer_success', reads: 3 })
  })

  it('gives up when nothing moves, and not before the verifier must have stored it', async () => {
    const { how, ms } = await lookAt([{}])
    expect(how).toBe('gave_up')
    expect(ms).toBeGreaterThan(LOOK_LIMIT_MS)
  })
})

describe('a ring', () => {
  it('names its agent, wrapped and signed or bare', () => {
    const message = { type: 'revocation', agent_id: 'node-1', event_id: 'pcr_validation.invalid_pcr_7' }
    expect(ringOf(JSON.stringify({ msg: JSON.stringify(message), signature: 'x' }))).toBe('node-1')
    expect(ringOf(JSON.stringify(message))).toBe('node-1')
  })

  it('is nothing when it names none, and never throws', () => {
    assert(property(string(), (text) => ringOf(text) === undefined))
    for (const body of ['{}', '[]', 'null', '{"msg": 3}', '{"msg": "{"}', '{"agent_id": "../x"}', '{"agent_id": 3}']) {
      expect(ringOf(body)).toBeUndefined()
    }
  })

  it('is free up to a burst, then twenty a second for each peer', () => {
    const budget = new RingBudget()
    const taken = (peer: string, at: number, rings: number): number =>
      Array.from({ length: rings }, () => budget.allows(peer, at)).filter(Boolean).length
    expect(taken('a', 0, 5_000)).toBe(1_000)
    expect(taken('b', 0, 10)).toBe(10)
    expect(taken('a', 1_000, 100)).toBe(20)
  })
})

describe('the audit log', () => {
  it('chains each line to the one before, also over restarts', () => {
    const file = join(folder, 'sub/audit.jsonl')
    for (let start = 0; start < 3; start += 1) {
      const log = new AuditLog(file, noFailure)
      for (let line = 0; line < 5; line += 1) log.write({ event: 'decided', agent_id: `node-${line}` })
    }
    const text = readFileSync(file, 'utf8')
    expect(text.trimEnd().split('\n')).toHaveLength(15)
    expect(brokenLink(text)).toBeUndefined()
  })

  it('shows any line that was changed, taken out or put in', () => {
    const lines: string[] = []
    let previous = '0'.repeat(64)
    for (let index = 0; index < 10; index += 1) {
      const line = auditLine({ event: 'done', agent_id: `n${index}` }, previous, new Date(0))
      lines.push(line)
      previous = createHash('sha256').update(line).digest('hex')
    }
    expect(brokenLink(lines.join('\n'))).toBeUndefined()
    assert(
      property(constantFrom(...lines.keys()), constantFrom('out', 'change', 'twice'), (at, how) => {
        const line = lines[at] ?? ''
        const put = { out: [], change: [line.replace('done', 'none')], twice: [line, line] }[how]
        const forged = lines.toSpliced(at, 1, ...put)
        // The last line has nobody after it who would vouch for it.
        const isLast = at === lines.length - 1 && how !== 'twice'
        expect(brokenLink(forged.join('\n')) === undefined).toBe(isLast)
      }),
    )
  })

  it('goes on in a new line after one that a full disk cut short, and says when it cannot write', () => {
    const file = join(folder, 'audit.jsonl')
    new AuditLog(file, noFailure).write({ event: 'done' })
    appendFileSync(file, '{"at":"2026')
    new AuditLog(file, noFailure).write({ event: 'after' })
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toHaveLength(3)
    const failures: string[] = []
    writeFileSync(join(folder, 'plain'), '')
    const log = new AuditLog(join(folder, 'plain/audit.jsonl'), (message) => failures.push(message))
    log.write({ event: 'done' })
    expect(failures).toEqual([expect.stringContaining('cannot be written')])
  })
})

describe('a ban', () => {
  const spiffeId = 'spiffe://example.org/spire/agent/keylime/node-1'

  it('that an attestation in flight undoes is made again: banned at the end, whenever it lands [O12]', async () => {
    await assert(
      asyncProperty(array(constantFrom(0, 1, 2), { minLength: 1, maxLength: 3 }), async (undoneAt) => {
        const server = await new FakeSpireServer(join(folder, 'api.sock')).start()
        const connection = new SpireConnection({ socketPath: server.socketPath })
        server.attest('node-1')
        let looks = 0
        let returned = 0
        const actor = new Actor(
          [connection],
          { tried: () => undefined, confirmed: () => undefined, returned: () => (returned += 1) },
          async () => {
            // The attestation was admitted before the ban, and writes its new serial number now.
            if (undoneAt.some((at) => at === looks)) server.attest('node-1')
            looks += 1
            await new Promise((resolve) => setImmediate(resolve))
            return looks < 20
          },
        )
        await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => true, askAgain: async () => true })
        await expect
          .poll(() => looks >= 3 && server.agents.get(spiffeId)?.banned, { interval: 5, timeout: 5_000 })
          .toBe(true)
        await expect.poll(() => returned, { interval: 5, timeout: 5_000 }).toBeGreaterThan(0)
        expect(server.agents.get(spiffeId)?.banned).toBe(true)
        connection.close()
        server.stop()
      }),
      { numRuns: 10 },
    )
  })

  it.each([
    [false, 0],
    [undefined, 0],
    [true, 1],
  ] as const)(
    'is not made again for a host that a person has taken back: Keylime refuses it %s',
    async (answer, again) => {
      const server = await new FakeSpireServer(join(folder, 'api.sock')).start()
      const connection = new SpireConnection({ socketPath: server.socketPath })
      server.attest('node-1')
      let looks = 0
      const actor = new Actor(
        [connection],
        { tried: () => undefined, confirmed: () => undefined, returned: () => undefined },
        async () => {
          looks += 1
          // Between the second look and the third: the ban is deleted, and the healthy host attests.
          if (looks === 3) {
            server.agents.delete(spiffeId)
            server.attest('node-1')
          }
          await new Promise((resolve) => setImmediate(resolve))
          return looks < 20
        },
      )
      await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => true, askAgain: async () => answer })
      await expect.poll(() => looks >= 3 && server.callsOf('GetAgent').length >= 3, { interval: 5 }).toBe(true)
      await expect.poll(() => server.callsOf('BanAgent').length, { interval: 5 }).toBe(1 + again)
      connection.close()
      server.stop()
    },
  )

  it('is tried until the server is back, and no longer than it is meant', async () => {
    const server = new FakeSpireServer(join(folder, 'api.sock'))
    const connection = new SpireConnection({ socketPath: server.socketPath })
    const failures: string[] = []
    let isMeant = true
    const actor = new Actor(
      [connection],
      {
        tried: (_cutOff, _server, _view, failure) => failures.push(failure ?? 'done'),
        confirmed: () => undefined,
        returned: () => undefined,
      },
      () => new Promise((resolve) => setTimeout(() => resolve(true), 20)),
    )
    await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => isMeant, askAgain: async () => isMeant })
    expect(actor.pending).toBe(1)
    expect(failures[0]).toContain('there is no such socket')
    await server.start()
    server.attest('node-1')
    await expect.poll(() => server.agents.get(spiffeId)?.banned, { timeout: 10_000 }).toBe(true)
    await expect.poll(() => actor.pending).toBe(0)
    server.stop()
    await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => isMeant, askAgain: async () => isMeant })
    expect(actor.pending).toBe(1)
    isMeant = false
    await expect.poll(() => actor.pending).toBe(0)
    connection.close()
  })
})

describe('an eviction', () => {
  const spiffeId = 'spiffe://example.org/spire/agent/keylime/node-1'
  const always = { isStillMeant: () => true, askAgain: async () => true } as const

  it('leaves a ban alone that somebody has made since the agent was listed', async () => {
    const server = await new FakeSpireServer(join(folder, 'api.sock')).start()
    const connection = new SpireConnection({ socketPath: server.socketPath })
    server.attest('node-1', { banned: true, x509svidSerialNumber: '' })
    const views: string[] = []
    const ears = { tried: (_c: unknown, _s: string, view: string) => void views.push(view), ...noEars }
    await new Actor([connection], ears, soon).cut({ spiffeId, action: 'evict', ...always })
    expect([views, server.agents.get(spiffeId)?.banned]).toEqual([['banned'], true])
    connection.close()
    server.stop()
  })

  it('that waits for a server gives way to a ban, and a ban of ours to that of a person', async () => {
    const server = new FakeSpireServer(join(folder, 'api.sock'))
    const connection = new SpireConnection({ socketPath: server.socketPath })
    const actor = new Actor([connection], { tried: () => undefined, ...noEars }, soon)
    let isFailed = true
    await actor.cut({ spiffeId, action: 'evict', ...always })
    await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => isFailed, askAgain: async () => isFailed })
    await actor.cut({ spiffeId, action: 'ban', isOrdered: true, ...always })
    isFailed = false
    expect([actor.pending, actor.isPendingAt(connection.name)]).toEqual([1, true])
    await server.start()
    server.attest('node-1')
    await expect.poll(() => server.agents.get(spiffeId)?.banned, { timeout: 10_000 }).toBe(true)
    await expect.poll(() => actor.pending).toBe(0)
    expect([server.callsOf('DeleteAgent'), actor.isPendingAt(connection.name)]).toEqual([[], false])
    connection.close()
    server.stop()
  })
})

describe('the proof of a ban', () => {
  it('is no look that failed', async () => {
    const server = await new FakeSpireServer(join(folder, 'api.sock')).start()
    const connection = new SpireConnection({ socketPath: server.socketPath })
    server.attest('node-1')
    let confirmed = 0
    let looks = 0
    const confirmedAt: number[] = []
    const ears = { ...noEars, tried: () => undefined, confirmed: () => (confirmed += 1) }
    server.failures.set('GetAgent', [status.UNAVAILABLE, 'away'])
    const actor = new Actor([connection], ears, async () => {
      looks += 1
      confirmedAt.push(confirmed)
      if (looks === 2) server.failures.delete('GetAgent')
      return true
    })
    const spiffeId = 'spiffe://example.org/spire/agent/keylime/node-1'
    await actor.cut({ spiffeId, action: 'ban', isStillMeant: () => true, askAgain: async () => true })
    await expect.poll(() => confirmed).toBe(1)
    expect(confirmedAt.slice(0, 2)).toEqual([0, 0])
    connection.close()
    server.stop()
  })
})

const soon = (): Promise<boolean> => new Promise((resolve) => setTimeout(() => resolve(true), 20))
const noEars = { confirmed: () => undefined, returned: () => undefined }

/** Looks at a host whose record is read as these, one after the other. */
async function lookAt(records: readonly (Partial<AgentRecord> | 'failed' | undefined)[]) {
  const time = steadyTime()
  let reads = 0
  const { promise, resolve } = Promise.withResolvers<readonly [LookEnd, number]>()
  const looks = new Looks(
    {
      read: async () => {
        const next = records[Math.min(reads, records.length - 1)]
        reads += 1
        if (next === 'failed') throw new Error('away')
        return next === undefined ? undefined : { ...healthy, ...next }
      },
      judge: (_agentId, record) => record?.operationalState === 9,
      sleep: time.sleep,
      ended: (_agentId, how, ms) => resolve([how, ms]),
    },
    time.now,
  )
  looks.begin(agentId)
  const [how, ms] = await promise
  return { how, ms, reads, left: looks.size }
}

function noFailure(message: string): never {
  throw new Error(message)
}
