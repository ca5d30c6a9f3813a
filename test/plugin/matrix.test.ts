import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { type Outcome } from './half-process.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

const NOW_S = 1_795_472_522
const STATES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, null]
const COUNTS = [23, 1, 0, null, undefined]
// With maximum_attestation_interval "10s" the default limit is 30 s.
const SUCCESSES: Readonly<Record<string, number | null | undefined>> = {
  '1 s': NOW_S - 1,
  '30 s': NOW_S - 30,
  '31 s': NOW_S - 31,
  'in 60 s': NOW_S + 60,
  'in 61 s': NOW_S + 61,
  never: 0,
  null: null,
  missing: undefined,
}
const FRESH = new Set(['1 s', '30 s', 'in 60 s'])
const STATUSES = [undefined, 'PASS', 'PENDING', 'TIMEOUT', 'FAIL', 'SOMETHING']
const EVENTS: Readonly<Record<string, string | null>> = {
  none: null,
  unreachable: 'internal.verifier.not_reachable',
  'no quote': 'internal.verifier.no_quote',
}

let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ now: () => NOW_S * 1000, ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

async function outcomeWith(fields: Readonly<Record<string, unknown>>): Promise<Outcome> {
  const node = keylime.node()
  keylime.verifier.enrol(node.agentId, node.tpm.akTpm, fields)
  return plugin.attest(node)
}

// Design section 5, written a second time and from the table alone.
function expected(row: { state: unknown; count: unknown; success: string; status: unknown; event: string }): string {
  const lostContact = row.state === 7 && row.event === 'unreachable'
  if (row.state === 9 || row.state === 10) return 'PERMISSION_DENIED'
  if (row.state === 7 && !lostContact) return 'PERMISSION_DENIED'
  if (row.status === 'FAIL' && !lostContact) return 'PERMISSION_DENIED'
  const isGood =
    (row.state === 3 || row.state === 5) &&
    typeof row.count === 'number' &&
    row.count > 0 &&
    FRESH.has(row.success) &&
    (row.status === undefined || row.status === 'PASS')
  return isGood ? 'OK' : 'FAILED_PRECONDITION'
}

const WORDS: Readonly<Record<string, string>> = { OK: 'admit', PERMISSION_DENIED: 'deny', FAILED_PRECONDITION: 'later' }

interface Row {
  readonly state: string
  readonly event: string
  readonly count: string
  readonly success: string
}

function line(cells: readonly string[]): string {
  const padded = cells.map((cell) => cell.padEnd(12)).join('')
  return `${padded.trimEnd()}\n`
}

/** Gathers outcomes, and prints rows that end alike as one. */
function newTable(): { add(row: Row, cells: readonly string[]): void; text(): string } {
  const groups = new Map<string, Row[]>()
  const all = (rows: readonly Row[], name: keyof Row): string => [...new Set(rows.map((row) => row[name]))].join(', ')
  return {
    add: (row, cells) => {
      const key = JSON.stringify([row.state, row.event, cells])
      groups.set(key, [...(groups.get(key) ?? []), row])
    },
    text: () => {
      const head = line(['state', 'last event', ...STATUSES.map((status) => status ?? 'absent'), 'count; success'])
      const body = [...groups].map(([key, rows]) => {
        const [state, event, cells] = JSON.parse(key) as [string, string, string[]]
        const isAll = rows.length === COUNTS.length * Object.keys(SUCCESSES).length
        const isAdmit = cells.includes(WORDS['OK'] ?? '')
        const when = isAll ? 'any' : isAdmit ? `${all(rows, 'count')}; ${all(rows, 'success')}` : 'any other'
        return line([state, event, ...cells, when])
      })
      return head + body.join('')
    },
  }
}

describe('the gate, through the whole plugin', () => {
  it('admits a state, count, age and status only where the table says so [T32] [T77] [T78] [P02] [P03]', async () => {
    const wrong: string[] = []
    const table = newTable()
    const admitted: string[] = []
    for (const state of STATES) {
      for (const event of state === 7 ? Object.keys(EVENTS) : ['none']) {
        for (const count of COUNTS) {
          for (const [success, at] of Object.entries(SUCCESSES)) {
            const cells: string[] = []
            for (const status of STATUSES) {
              const outcome = await outcomeWith({
                operational_state: state,
                attestation_count: count,
                last_successful_attestation: at,
                attestation_status: status,
                last_event_id: EVENTS[event],
              })
              const name = `state ${state} ${event} count ${count} success ${success} status ${status}`
              if (outcome.status !== expected({ state, count, success, status, event })) {
                wrong.push(`${name}: ${outcome.status} ${outcome.message}`)
              }
              if (outcome.status === 'OK') admitted.push(name)
              cells.push(WORDS[outcome.status] ?? outcome.status)
            }
            table.add({ state: `${state}`, event, count: `${count}`, success }, cells)
          }
        }
      }
    }
    process.stdout.write(table.text())
    expect(wrong).toEqual([])
    expect(admitted).toHaveLength(2 * 2 * 3 * 2)
  }, 120_000)

  it('names every clause that failed in one line, with its code', async () => {
    const fields = { operational_state: 1, attestation_count: 0, last_successful_attestation: 0 }
    const { status, message } = await outcomeWith(fields)
    expect(status).toBe('FAILED_PRECONDITION')
    expect(message).not.toContain('\n')
    for (const part of ['1 START', 'attestation_count 0', 'KL-GATE-PENDING', 'KL-GATE-COUNT-ZERO', 'KL-GATE-NEVER']) {
      expect(message).toContain(part)
    }
  })

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['a state that is text', { operational_state: 'GET_QUOTE' }],
    ['a state that is true', { operational_state: true }],
    ['no state', { operational_state: undefined }],
    ['a count that is text', { attestation_count: '23' }],
    ['a fractional time', { last_successful_attestation: NOW_S - 0.5 }],
    ['no tpm_policy', { tpm_policy: undefined }],
    ['hash algorithms that are text without ours', { accept_tpm_hash_algs: 'sha512,sha384' }],
  ])('never fails open on a record with %s', async (_name, fields) => {
    const { status, message } = await outcomeWith(fields)
    expect({ status, message }).toEqual({
      status: matching(/INTERNAL|FAILED_PRECONDITION|PERMISSION_DENIED/),
      message: matching(/./),
    })
  })

  it('refuses a push-mode node by name', async () => {
    const { status, message } = await outcomeWith({ ip: null, port: null })
    expect({ status, message }).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching('push mode'),
    })
  })

  it('reads hash algorithms that the Go fork enrolled as one text', async () => {
    expect(await outcomeWith({ accept_tpm_hash_algs: 'sha256' })).toMatchObject({ status: 'OK' })
  })

  it('refuses a hash algorithm the node was not enrolled with', async () => {
    const { status, message } = await outcomeWith({ accept_tpm_hash_algs: ['sha512'] })
    expect(status).toBe('PERMISSION_DENIED')
    expect(message).toContain('sha256')
  })

  it('judges a verifier before 7.14.0, which sends no status and no interval, by 60 s', async () => {
    const old = await startFakeKeylime({ release: '7.13', now: () => NOW_S * 1000, ak: 'ec-p256' })
    expect(await plugin.configure(old.serverHcl())).toMatchObject({ status: 'OK' })
    const node = old.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    old.verifier.set(node.agentId, { last_successful_attestation: NOW_S - 60 })
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    old.verifier.set(node.agentId, { last_successful_attestation: NOW_S - 61 })
    const { status, message } = await plugin.attest(node)
    expect({ status, message }).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/61 s old.*limit is 60 s/),
    })
    await plugin.configure(keylime.serverHcl())
    await old.close()
  })

  it('takes the limit from max_attestation_age', async () => {
    await plugin.configure(keylime.serverHcl({ max_attestation_age: '5s' }))
    expect(await outcomeWith({ last_successful_attestation: NOW_S - 5 })).toMatchObject({ status: 'OK' })
    const { status, message } = await outcomeWith({ last_successful_attestation: NOW_S - 6 })
    expect({ status, message }).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/6 s old.*limit is 5 s/),
    })
    await plugin.configure(keylime.serverHcl())
  })
})
