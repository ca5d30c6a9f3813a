import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { reasonOf } from '../../lab/processes/errors.ts'
import { askHttps } from '../../lab/processes/https.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { KEYLIME_PORTS, SERVICE_NAMES } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { hasSvid, onTower, svidReturns, useTower } from './scenario.ts'

const DEFAULT_UUID = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000'

/** How a refusal in the TLS handshake reads: an alert, or a connection that was closed on us. */
const REFUSED = /alert|unsupported certificate|unknown ca|ECONNRESET|hang up/i

const tower = useTower('twident')

interface Pair {
  readonly cert: string
  readonly key: string
}

/** Asks a service from a host's network with some client certificate; gives the status, or why there was none. */
async function probe(
  from: TowerHost,
  to: { readonly host: string; readonly port: number; readonly path: string },
  pair?: Pair,
): Promise<string> {
  const files = pair === undefined ? {} : { cert: readFileSync(pair.cert, 'utf8'), key: readFileSync(pair.key, 'utf8') }
  try {
    const answer = await askHttps({
      portal: tower().portal(from.name),
      ...to,
      ca: readFileSync(from.files.chain, 'utf8'),
      ...files,
    })
    return String(answer.status)
  } catch (error) {
    return reasonOf(error)
  }
}

const agentPair = (host: TowerHost): Pair => ({ cert: host.files.agentCert, key: host.files.agentKey })
const pluginPair = (host: TowerHost): Pair => ({ cert: host.files.pluginCert, key: host.files.pluginKey })
const agentOf = (host: TowerHost) => ({ host: host.ip, port: 9002, path: '/v2.2/agent/info' })

onTower('whose identity is whose', () => {
  it('lets a host with its own certificates reach its own Keylime agent, and nothing else of Keylime [T89] [P08] [P09]', async () => {
    const [auth, ca] = [tower().host('auth'), tower().host('ca')]
    const record = { host: SERVICE_NAMES.verifier, port: KEYLIME_PORTS.verifier, path: `/v2.6/agents/${auth.agentId}` }
    const line = new Timeline('five probes of what a host’s certificates open', ['T88', 'T89'])
    expect(await probe(ca, agentOf(ca), pluginPair(ca))).toBe('200')
    line.mark('ca’s plugin certificate → its own Keylime agent: 200')
    expect(await probe(ca, record, agentPair(ca))).toMatch(REFUSED)
    line.mark('ca’s agent certificate → the verifier’s records: refused in the handshake')
    expect(await probe(ca, agentOf(auth), agentPair(ca))).toMatch(REFUSED)
    line.mark('ca’s agent certificate → auth’s Keylime agent: refused in the handshake')
    expect(await probe(ca, agentOf(auth), pluginPair(ca))).toMatch(REFUSED)
    line.mark('ca’s plugin certificate → auth’s Keylime agent: refused in the handshake')
    expect(await probe(ca, record, pluginPair(ca))).toMatch(REFUSED)
    line.mark('ca’s plugin certificate → the verifier: refused in the handshake')
    line.end()
  })

  it('refuses whoever comes without a certificate [T20] [T45]', async () => {
    const ca = tower().host('ca')
    expect(await probe(ca, agentOf(ca))).toMatch(REFUSED)
    const record = { host: SERVICE_NAMES.verifier, port: KEYLIME_PORTS.verifier, path: `/v2.6/agents/${ca.agentId}` }
    expect(await probe(ca, record)).toBe('403')
  })

  it('refuses a host that fetches the quotes of another one [T89] [P09]', async () => {
    const [auth, ca] = [tower().host('auth'), tower().host('ca')]
    const line = new Timeline('a host fetches another host’s quote', ['T89'])
    await ca.startSpireAgent(tower().bundleFile, { data: { keylime_agent_host: auth.ip } })
    const refusal = await ca.spire.target.waitForLog(/KL-[A-Z-]+|does not trust|certificate/, 60_000)
    expect(refusal).toBeDefined()
    line.mark('ca’s agent half points at auth’s Keylime agent: refused in the handshake')
    const log = await ca.spire.target.waitForLog(
      /does not trust its issuer|refused our certificate|client certificate/,
      60_000,
    )
    expect(log).toBeDefined()
    expect(await hasSvid(ca)).toBe(false)
    line.mark('no SVID for ca’s workloads, and the log says whose certificate was not trusted')
    await ca.startSpireAgent(tower().bundleFile)
    await svidReturns(ca)
    line.mark('pointed at its own agent again: the workload has its SVID')
    line.end()
  })

  it('refuses a cloned host: the same ID with another TPM [T61] [P06]', async () => {
    const auth = tower().host('auth')
    const line = new Timeline('cloned disk, another TPM', ['T61'])
    const clone = await line.step('a fourth host claims the ID of auth', () =>
      tower().raiseNext({ uuid: auth.agentId, standIn: true }),
    )
    await expect(tower().register(clone)).rejects.toThrow(/./)
    line.mark('the registrar refuses it: the ID belongs to another TPM')
    const registered = await tower().keylime.admin.registered(auth.agentId)
    expect(registered?.ip).toBe(auth.ip)
    await tower().removeHost(clone.name)
    expect(await hasSvid(auth)).toBe(true)
    line.mark('auth keeps its identity')
    line.end()
  })

  it('refuses the ID that every unconfigured Keylime agent claims [T08] [T84] [P06]', async () => {
    const line = new Timeline('a Keylime agent with the default ID', ['T08', 'T84'])
    const host = await tower().raiseNext({ uuid: DEFAULT_UUID })
    await tower().register(host)
    await tower().keylime.admin.enrol(host.agentId, FULL_POLICY)
    await host.startSpireAgent(tower().bundleFile)
    const refusal = await host.spire.target.waitForLog(/PermissionDenied[^"]*KL-ID-DEFAULT-UUID/, 60_000)
    expect(refusal).toContain(DEFAULT_UUID)
    line.mark('refused, although Keylime attests it: KL-ID-DEFAULT-UUID')
    await tower().removeHost(host.name)
    line.end()
  })

  it('finds the EK certificate of every TPM below the CA that is configured [T13] [T15] [P32]', async () => {
    const log = tower().spire.process().readLog()
    for (const host of tower().hosts.values()) {
      const shown = await pollUntil(`${host.name} at the server`, () => tower().spire.agentShow(host.spiffeId))
      const values = shown.selectors.map(({ value }) => value)
      expect(values.filter((value) => /^ek:(sha256|ca):/.test(value)).length).toBe(2)
    }
    // SPIRE itself logs a refusal as an error: the one that a test above wanted.
    const errors = log.split('\n').filter((text) => text.includes('level=error'))
    expect(errors.filter((text) => !text.includes('KL-ID-DEFAULT-UUID'))).toEqual([])
    expect(log).not.toContain('KL-EK-')
    expect(readFileSync(join(tower().dir, 'ek-ca', 'swtpm-localca-rootca-cert.pem'), 'utf8')).toContain(
      'BEGIN CERTIFICATE',
    )
  })
})
