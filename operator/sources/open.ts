/**
 * Every source that the verbs read, opened from what was found on this machine.
 *
 * @module
 */
import { SpireConnection, serverInfo, spiffeIdParts } from '@tower-of-omens/spire-api'
import type { FleetSources } from '../fleet.ts'
import { type Services, servicesOf } from '../site/services.ts'
import { discoverSite, type Site, type SitePlace } from '../site/site.ts'
import { type KeylimeSources, openKeylime } from './keylime.ts'
import { settled, valueOf } from './state.ts'

/** Open sources, and what they were opened from. */
export interface OpenSources extends FleetSources, AsyncDisposable {
  readonly site: Site
  readonly services: Services
  readonly keylime: KeylimeSources | undefined
}

/** What is taken for the trust domain where nobody says it: it fits no agent. */
const NO_TRUST_DOMAIN = 'unknown'

/**
 * Looks at this machine and opens what it finds.
 *
 * @param place Where to look.
 * @param timeoutMs Limit of each question.
 * @returns The sources; dispose of them when done.
 * @throws {OperatorError} Our own configuration is wrong.
 */
export async function openSources(place: SitePlace, timeoutMs: number): Promise<OpenSources> {
  const site = discoverSite({ environment: process.env, ...place })
  const services = servicesOf(site)
  const opened = openKeylime(services, { timeoutMs })
  const keylime = 'sources' in opened ? opened.sources : undefined
  const spire = services.spireSockets.value.map((socketPath) => new SpireConnection({ socketPath, timeoutMs }))
  const trustDomain = services.trustDomain?.value ?? (await trustDomainOf(spire)) ?? NO_TRUST_DOMAIN
  return {
    site,
    services,
    keylime,
    keylimeFailed: 'problems' in opened ? opened.problems.join('; ') : undefined,
    spire,
    trustDomain,
    [Symbol.asyncDispose]: async () => {
      for (const connection of spire) connection.close()
      await keylime?.close()
    },
  }
}

async function trustDomainOf(spire: readonly SpireConnection[]): Promise<string | undefined> {
  for (const connection of spire) {
    const info = valueOf(await settled(serverInfo(connection)))
    const parts = info === undefined ? undefined : spiffeIdParts(info.id)
    if (parts !== undefined) return parts.trustDomain
  }
  return undefined
}
