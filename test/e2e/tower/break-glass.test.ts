import { randomUUID, X509Certificate } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { tryCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import type { RigProcess } from '../../lab/processes/processes.ts'
import { startEnvoy } from '../../lab/services/envoy.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { hasSvid, onTower, svidReturns, towerParts, useTower } from './scenario.ts'
import { type VerbDocument, verbsOf } from './verbs.ts'

const ENVOY_PORT = 7002
/** Life of the SVID that is stolen: as good as for ever, seen from an incident. */
const STOLEN_SECONDS = 600

const tower = useTower('twglass')
const { act, attempt } = verbsOf(tower)
const idOf = (host: TowerHost): string => `spiffe://${DOMAIN}/workload/${host.name}`

/** An SVID in files, as a workload or a thief holds it. */
interface HeldSvid {
  readonly cert: string
  readonly key: string
  /** Whom to trust; a thief does not care. */
  readonly bundle?: string
}

/** Fetches the SVIDs of a host's workload into a folder, and finds one of them. */
async function fetchInto(host: TowerHost, folder: string, spiffeId: string): Promise<HeldSvid | undefined> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const program = join((await towerParts()).spireBin, 'spire-agent')
  const args = ['api', 'fetch', 'x509', '-socketPath', host.workloadSocket, '-timeout', '2s', '-write', folder]
  if ((await tryCommand(program, args)).code !== 0) return undefined
  const svids = readdirSync(folder).filter((name) => /^svid\.\d+\.pem$/.test(name))
  const found = svids.find((name) => idIn(join(folder, name)) === spiffeId)
  if (found === undefined) return undefined
  const at = (name: string): string => join(folder, name)
  return { cert: at(found), key: at(found.replace('.pem', '.key')), bundle: at(found.replace('svid', 'bundle')) }
}

function idIn(file: string): string {
  return /URI:(\S+?)(?:,|$)/.exec(new X509Certificate(readFileSync(file)).subjectAltName ?? '')?.[1] ?? ''
}

/** Says hello to Envoy on `ca`, which is met by its name. */
async function hello(from: TowerHost, { cert, key, bundle }: HeldSvid): Promise<boolean> {
  const { ip, name } = tower().host('ca')
  const where = ['--connect-to', `${name}.${DOMAIN}:443:${ip}:${ENVOY_PORT}`, `https://${name}.${DOMAIN}/`]
  const tls = ['--cert', cert, '--key', key, ...(bundle === undefined ? ['--insecure'] : ['--cacert', bundle])]
  const [command, ...args] = tower().network.on(from.name, ['curl', '-sS', '--max-time', '2', ...tls, ...where])
  return (await tryCommand(command, args)).stdout.includes('hello from envoy')
}

/** One service that is asked again and again while something else goes on. */
interface Watched {
  readonly looks: number
  /** Longest time, in milliseconds, from a look that failed to one that did not. */
  readonly worstMs: number
  /** When a look was answered last, milliseconds since the epoch. */
  readonly lastFine: number
}

async function watchUntil(ended: () => boolean, look: () => Promise<boolean>): Promise<Watched> {
  let [looks, worstMs, lastFine] = [0, 0, 0]
  let failingSince: number | undefined
  while (!ended()) {
    const began = Date.now()
    const fine = await look()
    looks += 1
    if (fine) lastFine = Date.now()
    if (!fine) failingSince ??= began
    if (failingSince !== undefined) worstMs = Math.max(worstMs, Date.now() - failingSince)
    if (fine) failingSince = undefined
    await delay(50)
  }
  return { looks, worstMs, lastFine }
}

async function startPeer(peerIds: readonly string[]): Promise<RigProcess> {
  const ca = tower().host('ca')
  return startEnvoy(tower().on('ca'), {
    program: (await towerParts()).envoy,
    dir: join(tower().dir, 'envoy'),
    socketPath: ca.workloadSocket,
    port: ENVOY_PORT,
    trustDomain: DOMAIN,
    ownId: idOf(ca),
    peerIds,
  })
}

onTower('towerkeep revoke --break-glass', () => {
  it('has a peer refuse an SVID that has minutes left, and the healthy hosts go on [O16]', async () => {
    const [spire, stolen, ca] = [tower().host('spire'), tower().host('auth'), tower().host('ca')]
    const line = new Timeline('revoke --break-glass: Envoy between auth and ca', ['O16'])
    const folder = (name: string): string => join(tower().dir, `glass-${name}`)
    await stolen.startSpireAgent(tower().bundleFile, { more: { rebootstrap_delay: '1s' } })
    const heldId = `spiffe://${DOMAIN}/held/${randomUUID()}`
    const entry = { spiffeId: heldId, parentId: stolen.spiffeId, selectors: ['unix:uid:0'] }
    await tower().spire.createEntry({ ...entry, x509SvidTtl: STOLEN_SECONDS })
    const envoy = await startPeer([heldId, idOf(spire)])
    const call = async (): Promise<boolean> => {
      const own = await fetchInto(spire, folder('spire'), idOf(spire))
      return own !== undefined && (await hello(spire, own))
    }
    try {
      const fetched = await pollUntil('auth to hold the SVID', () => fetchInto(stolen, folder('held'), heldId), {
        deadlineMs: 60_000,
      })
      const held: HeldSvid = { cert: fetched.cert, key: fetched.key }
      const bothServed = async (): Promise<boolean> => (await call()) && (await hello(stolen, held))
      await pollUntil('Envoy on ca to serve both', bothServed, { deadlineMs: 60_000 })
      line.mark('Envoy on ca serves workloads of spire and auth')
      // What the plan says to a person before the question.
      const planned = await attempt('revoke', 'auth', '--break-glass', '--after', '4s', '--dry-run')
      expect([planned.code, planned.stderr]).toEqual([0, expect.stringContaining('needs the bundle of the day')])
      let ended = false
      const watched = (look: () => Promise<boolean>): Promise<Watched> => watchUntil(() => ended, look)
      const watching = Promise.all([watched(() => hello(stolen, held)), watched(call), watched(() => hasSvid(ca))])
      const broken = await act('revoke', 'auth', '--break-glass', '--after', '4s').catch((error: unknown) => error)
      await delay(3_000)
      ended = true
      const [thief, caller, workload] = await watching
      if (broken instanceof Error) throw broken
      const { exit, items } = broken as VerbDocument
      expect([exit, items.filter(({ state }) => state !== 'done')]).toEqual([0, []])
      const revoked = Date.parse(String(items.find(({ id }) => id === 'revoke')?.['at']))
      const took = (thief.lastFine - revoked) / 1000
      line.mark(
        `authority rotated; the thief was served for the last time ${took.toFixed(1)} s after the old one was revoked`,
      )
      expect(await hello(stolen, held)).toBe(false)
      const left = new X509Certificate(readFileSync(held.cert)).validToDate.getTime() - Date.now()
      expect([left > 60_000, thief.looks > 1, caller.looks > 1]).toEqual([true, true, true])
      line.mark(`refused, with ${Math.round(left / 1000)} s of its life left`)
      line.mark(
        `longest without service: spire to Envoy on ca ${caller.worstMs} ms (${caller.looks} calls), SVIDs on ca ${workload.worstMs} ms (${workload.looks})`,
      )
      expect([took < 20, caller.worstMs < 15_000, workload.worstMs < 15_000]).toEqual([true, true, true])
    } finally {
      await envoy.stop()
      // It was cut off before the next authority was in its bundle: it needs the bundle of the day, as at first.
      await tower().spire.writeBundle(stolen.files.bundle)
      await attempt('restore', 'auth', '--within', '60s')
    }
    await svidReturns(stolen)
    line.mark('auth, with the bundle of the day, restored')
    line.end()
  })
})
