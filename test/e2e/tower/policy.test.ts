import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { pollUntil } from '../../lab/processes/poll.ts'
import { renderHcl } from '../../lab/services/hcl-text.ts'
import type { EnrolmentPolicy } from '../../lab/services/keylime-admin.ts'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { serverData, serverDataFile } from '../../lab/tower/server-conf.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, towerParts, useTower } from './scenario.ts'

/** What the operator took for hardening: PCRs 4 and 7 are quoted, and compared with nothing. */
const MASK_ONLY: EnrolmentPolicy = { tpmPolicy: { mask: '0x90' } }

const tower = useTower('twpolicy', { serverDataFile: true })

async function selectorsOf(host: TowerHost): Promise<readonly string[]> {
  return ((await tower().spire.agentShow(host.spiffeId))?.selectors ?? []).map(({ value }) => value)
}

async function enrolAnew(host: TowerHost, policy: EnrolmentPolicy): Promise<void> {
  await tower().keylime.admin.unenrol(host.agentId)
  await tower().keylime.admin.enrol(host.agentId, policy)
  await tower().keylime.admin.waitForQuotes(host.agentId)
}

/** Process ids of the SPIRE server and its plugin. */
const serverProcesses = (): readonly number[] => tower().spire.process().members()

/** SHA-256 of the executable that the plugin's process runs. */
function runningPlugin(program: string): string {
  const pid = serverProcesses().find((member) => commandOf(member).includes(program))
  return createHash('sha256')
    .update(readFileSync(`/proc/${pid}/exe`))
    .digest('hex')
}

function commandOf(pid: number): string {
  return `${readlinkSync(`/proc/${pid}/exe`)} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1')}`
}

onTower('what a policy is worth', () => {
  it('is said of a policy that compares nothing, and such a host is refused as soon as the server half is told to [T79] [T86] [P01] [P16]', async () => {
    const [weak, strong] = [tower().host('auth'), tower().host('ca')]
    const line = new Timeline('a policy that compares nothing', ['T79', 'T86'])
    await weak.spire.pause()
    await line.step('auth enrolled anew with {"mask": "0x90"} alone', () => enrolAnew(weak, MASK_ONLY))
    const passing = await tower().keylime.admin.enrolled(weak.agentId)
    expect(passing?.attestationStatus).toBe('PASS')
    weak.spire.start()
    await tower().spire.evict(weak.spiffeId)
    await svidReturns(weak)
    const values = await selectorsOf(weak)
    expect(values).toContain('policy:none')
    expect(values.filter((value) => value.startsWith('policy:pcr'))).toEqual([])
    await tower().spire.waitForLog(/level=warning.*Enrolled policy checks nothing/)
    line.mark('Keylime says PASS; we say keylime:policy:none, and warn')
    const [before, plugin] = [serverProcesses(), runningPlugin((await towerParts()).serverPlugin)]
    const strict = serverData(tower().serverConf(), { require_policy: ['pcr', 'measured-boot', 'runtime'] })
    writeFileSync(serverDataFile(tower().first.spireDir), renderHcl(strict), { mode: 0o600 })
    tower().spire.process().kill('SIGUSR1')
    await tower().spire.waitForLog(/msg="Reconfigured plugin"|reconfigured/i)
    line.mark('require_policy written into plugin_data_file, SIGUSR1 sent')
    await tower().spire.evict(weak.spiffeId)
    const refusal = await weak.spire.target.waitForLog(/PermissionDenied.*KL-POLICY-WEAK/, 60_000)
    expect(refusal).toContain('KL-POLICY-WEAK')
    await pollUntil('the workload of auth to be without an SVID', async () => !(await hasSvid(weak)))
    line.mark('auth: refused, PERMISSION_DENIED, KL-POLICY-WEAK')
    const serial = await serialOf(tower(), strong)
    await tower().spire.evict(strong.spiffeId)
    await attestedAgain(tower(), strong, serial)
    line.mark('ca, whose policy compares PCRs, event log and files: attested')
    expect(serverProcesses()).toEqual(before)
    expect(runningPlugin((await towerParts()).serverPlugin)).toBe(plugin)
    line.mark('the same processes, the same executable')
    line.end()
  })

  it('is nothing while no quote was ever had: a host that is enrolled, but out of reach [T78] [P02]', async () => {
    const line = new Timeline('enrolled, but out of reach', ['T78'])
    const host = await tower().raiseNext()
    await tower().register(host)
    // The verifier looks for it where nobody is; the host itself is well.
    await tower().keylime.admin.enrol(host.agentId, FULL_POLICY, { host: '10.10.2.250' })
    const standing = await tower().keylime.admin.enrolled(host.agentId)
    line.mark(`${host.name} enrolled under another address: state ${standing?.operationalState}, count 0`)
    await host.startSpireAgent(tower().bundleFile)
    const refusal = await host.spire.target.waitForLog(/FailedPrecondition.*KL-GATE-[A-Z-]+/, 60_000)
    expect(refusal).toMatch(/KL-GATE-(PENDING|COUNT-ZERO|NEVER)/)
    expect(await hasSvid(host)).toBe(false)
    line.mark(`not yet: ${/KL-GATE-[A-Z-]+/.exec(refusal)?.[0]}, no SVID`)
    await tower().keylime.admin.waitForState(host.agentId, 'failed', 60_000)
    await host.spire.target.waitForLog(/FailedPrecondition.*KL-GATE-UNREACHABLE/, 60_000)
    expect(await hasSvid(host)).toBe(false)
    line.mark('given up by Keylime: KL-GATE-UNREACHABLE, no SVID')
    await tower().removeHost(host.name)
    line.end()
  })
})
