/**
 * What the scenarios share: a tower for each file, and the questions an operator would ask of it.
 *
 * @module
 */
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { agentInWords } from '../../lab/parts/parts.ts'
import { prepareParts } from '../../lab/parts/prepare.ts'
import { requireTowerTools } from '../../lab/parts/tower-programs.ts'
import { runCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { whyNoNamespaces } from '../../lab/tower/network.ts'
import { Tower } from '../../lab/tower/tower.ts'
import type { TowerOptions, TowerParts } from '../../lab/tower/tower-options.ts'

type AllParts = TowerParts & { readonly envoy: string; readonly stepCa: string }

let parts: Promise<AllParts> | undefined

const noTower = whyNoNamespaces()

/**
 * Describes scenarios; where no tower can stand they are skipped, and the title says why.
 *
 * @param missing What else they would need, when it is not there.
 */
export function onTower(title: string, scenarios: () => void, missing?: string): void {
  const why = noTower ?? missing
  describe.skipIf(why !== undefined)(
    why === undefined ? `${title}, ${agentInWords()}` : `${title} (skipped: ${why})`,
    scenarios,
  )
}

/**
 * Finds or makes every program a tower needs.
 *
 * @returns Paths, and `envoy` and `stepCa` besides.
 */
export function towerParts(): Promise<AllParts> {
  parts ??= findParts()
  return parts
}

async function findParts(): Promise<AllParts> {
  return { ...(await prepareParts(process.stderr)), ...(await requireTowerTools(process.stderr)) }
}

/**
 * Raises a tower before the tests of a file, and takes it down after them.
 *
 * @param prefix Names it; each file has its own.
 */
export function useTower(
  prefix: string,
  options: Omit<TowerOptions, 'parts' | 'prefix'> = {},
  halves: Partial<Pick<TowerParts, 'serverPlugin' | 'agentPlugin'>> = {},
): () => Tower {
  let tower: Tower | undefined
  beforeAll(async () => {
    if (noTower === undefined)
      tower = await Tower.up({ ...options, prefix, parts: { ...(await towerParts()), ...halves } })
  })
  afterAll(async () => tower?.down())
  return () => {
    if (tower === undefined) throw new Error('the tower does not stand')
    return tower
  }
}

/** Tells whether a workload of a host has an X509-SVID now. */
export async function hasSvid(host: TowerHost): Promise<boolean> {
  return (await host.spire.target.fetchX509().catch(() => [])).length > 0
}

/** Waits until a host's workload gets its SVID. */
export function svidReturns(host: TowerHost, deadlineMs = 90_000): Promise<unknown> {
  return pollUntil(`a workload of ${host.name} to get its SVID`, () => hasSvid(host), { deadlineMs, intervalMs: 100 })
}

/** Waits until a host's workload gets none any more. */
export function svidGoes(host: TowerHost, deadlineMs = 120_000): Promise<unknown> {
  return pollUntil(`the workload of ${host.name} to lose its SVID`, async () => !(await hasSvid(host)), {
    deadlineMs,
    intervalMs: 100,
  })
}

/** Waits until a host is attested again after a change; reads the time of its newest SVID at the server. */
export async function attestedAgain(tower: Tower, host: TowerHost, before: string | undefined): Promise<void> {
  await pollUntil(
    `${host.name} to be attested again`,
    async () => {
      const shown = await tower.spire.agentShow(host.spiffeId)
      return shown !== undefined && shown.x509svid_serial_number !== before
    },
    { deadlineMs: 90_000 },
  )
}

/** Evicts a host's agent again and again, which has it attest; ends when told to, and gives how often it did. */
export async function attestUntil(tower: Tower, host: TowerHost, ended: () => boolean): Promise<number> {
  let times = 0
  while (!ended()) {
    const serial = await serialOf(tower, host)
    await tower.spire.evict(host.spiffeId)
    await attestedAgain(tower, host, serial)
    times += 1
  }
  return times
}

/** Reads the serial number of a host's agent SVID. */
export async function serialOf(tower: Tower, host: TowerHost): Promise<string | undefined> {
  return (await tower.spire.agentShow(host.spiffeId))?.x509svid_serial_number
}

/** Fetches a JWT-SVID as a workload of a host does. */
export async function fetchJwt(host: TowerHost, audience: string): Promise<string> {
  const program = join((await towerParts()).spireBin, 'spire-agent')
  const args = ['api', 'fetch', 'jwt', '-audience', audience, '-socketPath', host.spire.target.socketPath]
  return /^\s+(eyJ\S+)$/m.exec(await runCommand(program, args))?.[1] ?? ''
}
