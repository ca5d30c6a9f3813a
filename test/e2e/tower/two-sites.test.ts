import { join } from 'node:path'
import { expect, it } from 'vitest'
import { postgresqlBin } from '../../lab/parts/debian-archive.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import type { SpireServer } from '../../lab/services/spire-server.ts'
import { rebootAndHeal, tamper } from '../../lab/tower/actions.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { startKeeper } from '../../lab/tower/keeping.ts'
import type { ServiceSite } from '../../lab/tower/service-site.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { hasSvid, onTower, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twsites', { twoSites: true, webhook: true })

/** Longest that a SPIRE agent waits before it tries the next server, or the same one again. */
const AGENT_BACKOFF_MS = 90_000

/** Folder with the two halves of the release before this one. */
const previous = process.env.PREVIOUS_RELEASE_DIR || undefined

const ofPrevious = (half: string): string => join(previous ?? '', `keylime-attestor-${half}`)

const hosts = (): readonly TowerHost[] => [...tower().hosts.values()]

function second(): ServiceSite {
  const site = tower().second
  if (site === undefined) throw new Error('the tower has one site')
  return site
}

/** Hosts that the second verifier polls. */
const ofSecond = (): readonly TowerHost[] => hosts().filter((host) => tower().keylimeOf(host) === second().keylime)

/** Refusals as verdicts in the logs of every SPIRE agent: a healthy fleet has none, whatever fails around it. */
function verdicts(): readonly string[] {
  return hosts().flatMap(
    (host) => host.spire.target.readLog().match(/[^\n]*PermissionDenied[^\n]*nodeattestor\(keylime\)[^\n]*/g) ?? [],
  )
}

/** Counts how often a server has attested a node since it was started. */
const attestedBy = (server: SpireServer): number => server.readLog().match(/msg="Node attested"/g)?.length ?? 0

/** Has every host attest once more, at whichever server its agent speaks to. */
async function attestAll(at: SpireServer): Promise<void> {
  await Promise.all(
    hosts().map(async (host) => {
      // Who is on its way back from what was done before cannot be evicted.
      const before = await pollUntil(`${host.name} to be attested`, () => at.agentShow(host.spiffeId), {
        deadlineMs: AGENT_BACKOFF_MS,
      })
      await at.evict(host.spiffeId)
      await pollUntil(
        `${host.name} to be attested again`,
        async () => {
          const shown = await at.agentShow(host.spiffeId)
          return shown !== undefined && shown.x509svid_serial_number !== before.x509svid_serial_number
        },
        { deadlineMs: AGENT_BACKOFF_MS },
      )
    }),
  )
}

onTower(
  'two sites on one PostgreSQL',
  () => {
    it('divide the fleet between two verifiers, and each SPIRE server knows all of it [fleet:two-sites:one-fleet]', async () => {
      const line = new Timeline('two SPIRE servers, two verifiers, one database', ['fleet:two-sites:one-fleet'])
      const polled = await Promise.all(
        [tower().keylime, second().keylime].map((keylime) => keylime.admin.agentIds('verifier')),
      )
      expect(polled.map((ids) => ids.length)).toEqual([2, 1])
      line.mark('each verifier polls its part of three hosts')
      for (const server of [tower().spire, second().spire])
        expect((await server.agentList()).map(({ id }) => `spiffe://${id.trust_domain}${id.path}`).toSorted()).toEqual(
          hosts()
            .map(({ spiffeId }) => spiffeId)
            .toSorted(),
        )
      line.mark('both SPIRE servers list all three')
      line.end()
    })

    it('let a node that attested at one server attest again at the other, when the first is killed under load [fleet:server:killed-under-load]', async () => {
      const line = new Timeline('kill -9 of a SPIRE server while every host attests', [
        'fleet:server:killed-under-load',
      ])
      const before = attestedBy(second().spire)
      const load = attestAll(second().spire)
      tower().spire.process().kill('SIGKILL')
      line.mark('first SPIRE server killed while three hosts attest')
      await load
      await Promise.all(hosts().map((host) => svidReturns(host)))
      expect(attestedBy(second().spire)).toBeGreaterThan(before)
      line.mark('all three attested at the second server; every workload has its SVID')
      await tower().spire.process().exited
      await tower().first.startSpire()
      line.mark('first server started again')
      expect(verdicts()).toEqual([])
      line.end()
    })

    it('go on through a restart of the database [fleet:database:restarted]', async () => {
      const line = new Timeline('PostgreSQL restarted under two SPIRE servers and two registrars', [
        'fleet:database:restarted',
      ])
      await tower().database.stop()
      line.mark('PostgreSQL ended')
      expect(await Promise.all(hosts().map(hasSvid))).toEqual([true, true, true])
      line.mark('every workload still has its SVID from its SPIRE agent')
      await tower().database.start()
      line.mark('PostgreSQL started')
      for (const server of [tower().spire, second().spire]) {
        await pollUntil('the server to list its agents again', () => server.agentList(), { deadlineMs: 30_000 })
        await attestAll(server)
      }
      expect(verdicts()).toEqual([])
      line.mark('every host attested again, evicted at either server; no restart of SPIRE or Keylime')
      line.end()
    })

    it('keep the failure of one verifier from the nodes of the other, and give no verdict on its own [fleet:verifier:gone-and-back]', async () => {
      const line = new Timeline('one of two verifiers is gone, and comes back', ['fleet:verifier:gone-and-back'])
      const [lost] = ofSecond()
      if (lost === undefined) throw new Error('no host at the second verifier')
      const others = hosts().filter((host) => host !== lost)
      await second().keylime.stop('verifier')
      line.mark(`second verifier ended: it alone knows ${lost.name}`)
      for (const host of hosts()) await tower().spire.evict(host.spiffeId)
      await Promise.all(
        others.map((host) =>
          pollUntil(`${host.name} to be attested`, () => tower().spire.agentShow(host.spiffeId), {
            deadlineMs: AGENT_BACKOFF_MS,
          }),
        ),
      )
      line.mark(`${others.map(({ name }) => name).join(' and ')} attested all the same`)
      expect(await lost.spire.target.waitForLog(/code = (Unavailable|FailedPrecondition)[^\n]*/, 60_000)).not.toContain(
        'PermissionDenied',
      )
      expect(verdicts()).toEqual([])
      line.mark(`${lost.name} is told to try again; its SPIRE agent stays`)
      await second().keylime.start('verifier')
      await second().keylime.admin.waitForQuotes(lost.agentId)
      await svidReturns(lost, AGENT_BACKOFF_MS)
      line.mark(`second verifier back: ${lost.name} attested, its workload has its SVID`)
      line.end()
    })

    it.skipIf(previous === undefined)(
      'take an upgrade one after the other, from the last release, while every host attests (needs PREVIOUS_RELEASE_DIR) [fleet:release:rolling-upgrade]',
      async () => {
        const line = new Timeline('rolling upgrade from the last release', ['fleet:release:rolling-upgrade'])
        const sites = [tower().first, second()]
        for (const site of sites) {
          await site.spire.stop()
          await site.startSpire(ofPrevious('server'))
        }
        for (const host of hosts()) await host.startSpireAgent(tower().bundleFile, { plugin: ofPrevious('agent') })
        await Promise.all(hosts().map((host) => svidReturns(host)))
        line.mark('both SPIRE servers and every SPIRE agent run the last release')
        for (const site of sites) {
          await site.spire.stop()
          await site.startSpire()
          await attestAll(site.spire)
          line.mark('one more SPIRE server runs this version; every host attested')
        }
        for (const host of hosts()) await host.startSpireAgent(tower().bundleFile)
        await Promise.all(hosts().map((host) => svidReturns(host)))
        expect(verdicts()).toEqual([])
        line.mark('every SPIRE agent runs this version; every workload has its SVID')
        line.end()
      },
    )

    it('attest through the other registrar when one is gone [fleet:registrar:gone]', async () => {
      const line = new Timeline('one of two registrars is gone', ['fleet:registrar:gone'])
      await tower().keylime.stop('registrar')
      try {
        line.mark('first registrar ended')
        await attestAll(second().spire)
        expect(verdicts()).toEqual([])
        line.mark('every host attested: the second registrar reads the same database')
      } finally {
        await tower().keylime.start('registrar')
      }
      line.mark('first registrar back')
      line.end()
    })

    it('have a node of the second verifier cut off at both servers by one towerkeep watch [fleet:watch:both-servers]', async () => {
      const line = new Timeline('towerkeep watch over two SPIRE servers and two verifiers', [
        'fleet:watch:both-servers',
      ])
      const [host] = ofSecond()
      if (host === undefined) throw new Error('no host at the second verifier')
      const watch = await startKeeper(tower(), 'mode = "evict"\n  poll = "5m"')
      await svidReturns(host)
      await line.step(`PCR 7 of ${host.name} extended`, () => tamper(host))
      const servers = [tower().spire, second().spire].map(({ socketPath }) => socketPath)
      await pollUntil('towerkeep to cut the host off at both servers', () => {
        const done = watch.process
          .readLog()
          .split('\n')
          .filter((text) => text.includes('a host is cut off') && text.includes(host.agentId))
        return servers.every((socket) => done.some((text) => text.includes(socket)))
      })
      line.mark('the second verifier rang; evicted at both servers')
      expect(await host.spire.target.waitForLog(/PermissionDenied.*KL-GATE-INVALID-QUOTE/, 60_000)).toBeDefined()
      line.mark('its re-attestation is refused')
      await rebootAndHeal(tower(), host)
      await svidReturns(host, AGENT_BACKOFF_MS)
      line.mark('rebooted in good order: its workload has its SVID')
      await watch.stop()
      line.end()
    })
  },
  postgresqlBin() === undefined ? 'no PostgreSQL here' : undefined,
)
