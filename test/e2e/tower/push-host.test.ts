// One host in push mode among three: its own verifier, evidence from its own TPM, nothing on it that could be stolen or renewed.
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import * as v from 'valibot'
import { beforeAll, expect, it } from 'vitest'
import { STATUS_DOCUMENT } from '../../../operator/schemas/reading.ts'
import { runCommand } from '../../lab/processes/commands.ts'
import { rebootAndHeal, tamper } from '../../lab/tower/actions.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { AGENT_PORT } from '../../lab/tower/host-keylime.ts'
import { runTowerkeep } from '../../lab/tower/keeping.ts'
import { noteHosts } from '../../lab/tower/seen-hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { hasSvid, onTower, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twpush', { push: ['ca'] })
const others = (): readonly TowerHost[] => ['spire', 'auth'].map((name) => tower().host(name))

onTower('one host in push mode among three', () => {
  let host: TowerHost
  beforeAll(() => {
    host = tower().host('ca')
  })

  it('gets its identity by its own quote, the others by their Keylime agents [tpm:tower:push]', async () => {
    await svidReturns(host)
    expect(await selectorsOf(host)).toEqual(expect.arrayContaining(['evidence:tpm', 'mode:push', 'policy:pcr:7']))
    const { keylime, first } = tower()
    expect(await first.pushKeylime?.admin.agentIds('verifier')).toEqual([host.agentId])
    expect(await keylime.admin.agentIds('verifier')).not.toContain(host.agentId)
    for (const other of others()) {
      await svidReturns(other)
      expect(await selectorsOf(other)).not.toContain('mode:push')
    }
  })

  it('has no Keylime port, no key and no certificate but those of two CAs [tpm:tower:push-bare]', async () => {
    const [bare, usual] = await Promise.all([portsOf(host), portsOf(tower().host('auth'))])
    expect(usual).toContain(AGENT_PORT)
    // The software TPM's own two, which is a device elsewhere.
    expect(bare).toEqual([2321, 2322])
    const found = pemIn(host)
    expect(found.map(({ name, keys }) => [name, keys])).toEqual([
      ['bundle.pem', 0],
      ['certs/root.crt', 0],
    ])
    expect(found.flatMap(({ certificates }) => certificates.map(({ ca }) => ca))).not.toContain(false)
    const usualKeys = pemIn(tower().host('auth')).filter(({ keys }) => keys > 0)
    expect(usualKeys.map(({ name }) => name)).toEqual(expect.arrayContaining(['certs/agent.key', 'certs/plugin.key']))
    const conf = readFileSync(join(dirname(host.workloadSocket), 'agent.conf'), 'utf8')
    expect(conf).toContain('evidence = "tpm"')
    expect(conf).not.toContain('keylime_agent_client')
  })

  it('is seen by towerkeep [tpm:tower:push-seen]', async () => {
    const ran = await runTowerkeep(tower(), ['status', '--output', 'json'])
    const { items } = v.parse(STATUS_DOCUMENT, JSON.parse(ran.stdout))
    expect([ran.code, items.map(({ host: name, verdict }) => [name, verdict.standing])]).toEqual([
      0,
      ['auth', 'ca', 'spire'].map((name) => [name, 'admitted']),
    ])
    expect(items.find(({ host: name }) => name === 'ca')?.keylime).toMatchObject({
      verifier: expect.stringContaining(':8882') as string,
    })
    noteHosts(tower().hosts.values())
  })

  it('is refused at its next attestation when it was tampered with, and no other host is touched [tpm:tower:push-tampered]', async () => {
    const line = new Timeline('one host in push mode, tampered with', ['tpm:tower:push-tampered'])
    await line.step('PCR 7 extended', () => tamper(host))
    await tower().spire.evict(host.spiffeId)
    const refusal = await host.spire.target.waitForLog(
      /code = PermissionDenied.*KL-(?:PCR-DIFFERS|GATE-PUSH-FAIL)\]/,
      90_000,
    )
    expect(refusal).toContain(`keylime agent ${host.agentId}`)
    line.mark('refused by its own quote')
    expect(await tower().spire.agentShow(host.spiffeId)).toBeUndefined()
    expect(await hasSvid(host)).toBe(false)
    for (const other of others()) {
      expect(await hasSvid(other)).toBe(true)
      expect(await tower().spire.agentShow(other.spiffeId)).toBeDefined()
      expect(other.spire.target.readLog()).not.toContain('PermissionDenied')
    }
    await line.step('rebooted in good order, and enrolled anew', () => rebootAndHeal(tower(), host))
    await svidReturns(host)
    line.mark('the workload has its SVID again')
    line.end()
  })
})

async function selectorsOf(host: TowerHost): Promise<readonly string[]> {
  return ((await tower().spire.agentShow(host.spiffeId))?.selectors ?? []).map(({ value }) => value)
}

/** Lists the TCP ports that a host listens on, lowest first. */
async function portsOf(host: TowerHost): Promise<readonly number[]> {
  const [program, ...args] = tower().network.on(host.name, ['ss', '-Hltn'])
  const lines = (await runCommand(program, args)).trim().split('\n')
  return lines.map((line) => Number(/:(\d+)\s/.exec(line)?.[1])).toSorted((one, other) => one - other)
}

/** Finds each file of a host with a certificate or a key as PEM. */
function pemIn(host: TowerHost) {
  const folder = dirname(host.files.bundle)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const text = readFileSync(path, 'latin1')
      const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
      return {
        name: relative(folder, path),
        keys: text.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----/g)?.length ?? 0,
        certificates: certificates.map((pem) => new X509Certificate(pem)),
      }
    })
    .filter(({ keys, certificates }) => keys + certificates.length > 0)
    .toSorted((one, other) => one.name.localeCompare(other.name))
}
