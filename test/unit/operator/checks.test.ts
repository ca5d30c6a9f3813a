import { once } from 'node:events'
import { mkdirSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linked } from '../../../operator/checks/edges.ts'
import { CHECKS, type CheckRun } from '../../../operator/checks/run-checks.ts'
import { doctorReport } from '../../../operator/doctor-report.ts'
import { FINDINGS } from '../../../operator/findings/catalogue.ts'
import { finding } from '../../../operator/findings/finding.ts'
import { DEFAULT_AGENT_UUID } from '../../../plugins/keylime/basis/ids.ts'
import { TOWER_BREAKERS } from '../../e2e/tower/breakers.scenario.ts'
import { HOST_BREAKERS } from '../../e2e/tower/host-breakers.scenario.ts'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import type { Heal } from '../../lab/tower/breakage.ts'
import type { Breaker } from './breaking.ts'
import { FILE_BREAKERS } from './file-breakers.scenario.ts'
import { causesIn, type FakeMachine, healthyMachine } from './machine.ts'
import { SERVICE_BREAKERS } from './service-breakers.scenario.ts'

const UNIT_BREAKERS = [...FILE_BREAKERS, ...SERVICE_BREAKERS]

let machine: FakeMachine
beforeAll(async () => {
  machine = await healthyMachine()
})
afterAll(async () => machine[Symbol.asyncDispose]())

const AGENT = '/etc/keylime/agent.conf'
const SPIRE_AGENT = '/etc/spire/agent.conf'

/** Breaks the machine, looks, and mends it. */
async function runsWith({
  files = [],
  breakIt,
  proves = false,
  clockMs = 0,
}: Omit<Breaker, 'what' | 'check' | 'id'>): Promise<readonly CheckRun[]> {
  const kept = [...new Set([...files, AGENT])].map((file) => [file, machine.readIfThere(file)] as const)
  let heal: Heal | void = undefined
  try {
    heal = await breakIt?.(machine)
    return await machine.checks({ prove: proves, clockMs })
  } finally {
    for (const [file, text] of kept) {
      if (text === undefined) machine.remove(file)
      else machine.write(file, text)
    }
    if (typeof heal === 'function') await heal()
  }
}

const aboutFile = (id: 'TK-PLUGIN-SUM' | 'TK-PLUGIN-SWAPPED', subject: string) => finding(id, { subject, message: '' })

const findingsIn = (runs: readonly CheckRun[]) =>
  runs.flatMap(({ findings }) => findings).filter(({ severity }) => severity !== 'info')

describe('doctor on one machine', () => {
  it('finds nothing where nothing is wrong, whatever it is asked to prove [P24]', async () => {
    for (const prove of [false, true])
      expect(
        (await machine.doctor({ prove })).map(({ id, subject, message }) => `${id} ${subject}: ${message}`),
      ).toEqual([])
  })

  it.each(UNIT_BREAKERS.map((breaker) => [breaker.what, breaker.id, breaker] as const))(
    'names %s as the only cause, %s, and is silent when it is mended [operator:doctor:names-cause]',
    async (_what, _id, breaker) => {
      const runs = await runsWith(breaker)
      const found = runs.find(({ check }) => check.id === breaker.check)?.findings.map(({ id }) => id)
      expect([causesIn(findingsIn(runs)), found]).toEqual([
        breaker.informs === true ? [] : [breaker.id],
        expect.arrayContaining([breaker.id]),
      ])
      expect(causesIn(await machine.doctor())).toEqual([])
    },
  )

  it('says of a token file that it cannot read that it has not seen it', async () => {
    const token = join(machine.root, 'root/.vault-token')
    mkdirSync(token, { recursive: true })
    const runs = await machine.checks({ prove: false, clockMs: 0 })
    rmSync(token, { recursive: true })
    const found = runs.find(({ check }) => check.id === 'secrets-tokens')?.findings
    expect(found?.map(({ id, subject }) => `${id} ${subject}`)).toEqual([`TK-DOC-UNSEEN ${token}`])
  })

  it('names the cause first when two things are wrong', async () => {
    const runs = await runsWith({
      files: [SPIRE_AGENT],
      breakIt: (m) => {
        m.edit(AGENT, 'hash_ek', 'auto')
        m.edit(SPIRE_AGENT, '"1s"', '"30s"')
        const gone = 'spiffe://example.org/spire/agent/keylime/gone'
        m.site.spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/workload', gone, ['unix:uid:0']))
        return () => m.site.spire.entries.clear()
      },
    })
    const { findings } = doctorReport(runs, [], { failOn: 'warn', seconds: 0 })
    expect(findings.map(({ id, because }) => [id, because])).toEqual([
      ['TK-ID-RANDOM', []],
      ['TK-SPIRE-SLOW', []],
      ['TK-GC-RUBBISH', expect.arrayContaining(['TK-ID-ORPHAN'])],
      ['TK-ID-ORPHAN', ['TK-ID-RANDOM']],
    ])
  })

  it('finds what there is to find at the others while one host hangs', async () => {
    const silent = createServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { verifier } = machine.site.keylime
    const { agentId } = machine.site.keylime.node(1)
    verifier.set(agentId, { port: (silent.address() as AddressInfo).port })
    const runs = await machine.checks({ deadlineMs: 3_000 })
    verifier.set(agentId, { port: machine.agents[1]?.port })
    silent.close()
    expect(findingsIn(runs).map(({ id, subject }) => `${id} ${subject}`)).toEqual([])
  })

  it('names one TPM under two IDs at each host that they are known as', async () => {
    const { keylime } = machine.site
    const { registrar } = keylime
    const { tpm } = keylime.node(0)
    const keys = { ek_tpm: tpm.ekTpm.toString('base64'), aik_tpm: tpm.akTpm.toString('base64') }
    const ekcert = await keylime.ekCertificateOf(tpm)
    registrar.register({ agent_id: 'another-id', ...keys, ekcert, ip: '127.0.0.2' })
    const findings = await machine.doctor()
    registrar.remove('another-id')
    expect(causesIn(findings)).toEqual(['TK-ID-SHARED-EK'])
    const shared = findings.filter(({ id }) => id === 'TK-ID-SHARED-EK')
    expect(new Set(shared.map(({ host }) => host))).toEqual(new Set(['127.0.0.1', '127.0.0.2']))
  })

  it('takes a sum that is not the pinned one for what follows when the same file was replaced under its process', () => {
    const found = linked([
      aboutFile('TK-PLUGIN-SUM', 'a'),
      aboutFile('TK-PLUGIN-SUM', 'b'),
      aboutFile('TK-PLUGIN-SWAPPED', 'a'),
    ])
    expect(found.map(({ because }) => because)).toEqual([['TK-PLUGIN-SWAPPED'], [], []])
  })

  it('does not take a source that is away for a fault of the hosts: UNKNOWN', async () => {
    machine.site.spire.stop()
    const findings = await machine.doctor()
    await machine.site.spire.start()
    expect(causesIn(findings)).toEqual(['TK-SRC-SPIRE'])
    expect(findings.every(({ severity }) => severity === 'unknown')).toBe(true)
  })
})

/** What a scenario of the tower shows by itself: the promise that its test cites. */
const SHOWN_BY_SCENARIO: Readonly<Record<string, string>> = {
  'plugin-running TK-PLUGIN-SWAPPED': 'O20',
  'devid-key TK-DEVID-KEY': 'O21',
}

describe('the checks', () => {
  it('have a breaker for everything that they can find, on the tower or on a machine of fakes', () => {
    const broken = [...TOWER_BREAKERS, ...HOST_BREAKERS, ...UNIT_BREAKERS].map(({ check, id }) => `${check} ${id}`)
    const can = CHECKS.flatMap(({ id, finds }) => finds.map((found) => `${id} ${found}`))
    expect(can.filter((pair) => !broken.includes(pair) && !(pair in SHOWN_BY_SCENARIO))).toEqual([])
    expect(broken.filter((pair) => !can.includes(pair))).toEqual([])
  })

  it('name every finding they can make, and each finding of the catalogue is made by one or by watch', () => {
    const named = new Set(CHECKS.flatMap(({ finds }) => finds))
    const others = ['TK-USAGE', 'TK-FAULT', 'TK-CONF-ABSENT', 'TK-DOC-UNSEEN', 'TK-SPIRE-UNDECIDED']
    const unmade = Object.keys(FINDINGS).filter(
      (id) => !named.has(id as never) && !id.startsWith('TK-WATCH-') && !/^TK-(PLAN|PKI|RENEW|ACT)-/.test(id),
    )
    expect(unmade.toSorted()).toEqual(others.toSorted())
    expect(new Set(CHECKS.map(({ id }) => id)).size).toBe(CHECKS.length)
    expect(DEFAULT_AGENT_UUID).toMatch(/^d432fbb3/)
  })
})
