/**
 * Checks of who the hosts say they are.
 *
 * @module
 */
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import { type EkAnchors, judgeEkChain, loadEkAnchors, registeredKeys } from '@tower-of-omens/keylime/evidence'
import { type Finding, finding } from '../findings/finding.ts'
import type { FleetHost } from '../fleet.ts'
import { orphanEntries } from '../rubbish/orphans.ts'
import { valueOf } from '../sources/state.ts'
import type { Check } from './check.ts'
import { pluginKeys } from './tls-uses.ts'
import type { View } from './view.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** The checks. */
export const IDENTITY_CHECKS: readonly Check[] = [
  {
    id: 'identity-conf',
    area: 'identity',
    finds: ['TK-ID-DEFAULT', 'TK-ID-RANDOM'],
    needs: 'agent.conf and the environment of keylime_agent',
    blind: 'an agent that was started from another file and has ended',
    run: ({ site }) => confFindings(site.keylimeAgent?.text('uuid'), site.keylimeAgent !== undefined),
  },
  {
    id: 'identity-default',
    area: 'identity',
    finds: ['TK-ID-DEFAULT'],
    needs: 'registrar or verifier',
    blind: 'which of several machines it is',
    run: ({ fleet }) =>
      fleet.hosts
        .filter(({ agentId }) => agentId === DEFAULT_AGENT_UUID)
        .map((host) =>
          finding('TK-ID-DEFAULT', {
            host: host.name,
            subject: host.agentId,
            message: 'is the ID of every agent without uuid',
          }),
        ),
  },
  {
    id: 'identity-shared-ek',
    area: 'identity',
    finds: ['TK-ID-SHARED-EK'],
    needs: 'registrar',
    blind: 'registrations that were removed',
    run: ({ fleet }) => sharedEk(fleet.hosts),
  },
  {
    id: 'identity-place',
    area: 'identity',
    finds: ['TK-ID-SAME-PLACE'],
    needs: 'registrar and verifier',
    blind: 'hosts behind one address on different ports by intention',
    run: ({ fleet }) => [...samePlace(fleet.hosts), ...elsewhere(fleet.hosts)],
  },
  {
    id: 'identity-orphans',
    area: 'identity',
    finds: ['TK-ID-ORPHAN'],
    needs: 'SPIRE server',
    blind: 'entries of agents that will attest for the first time',
    run: orphanFindings,
  },
  {
    id: 'identity-ek-ca',
    area: 'identity',
    finds: ['TK-ID-EK-UNCHECKED', 'TK-ID-EK-CHAIN'],
    needs: 'server.conf and registrar',
    blind: 'revocation by the TPM maker',
    run: ekFindings,
  },
]

function confFindings(
  uuid: { readonly value: string; readonly from: string } | undefined,
  hasConf: boolean,
): readonly Finding[] {
  if (!hasConf) return []
  if (uuid === undefined) {
    return [finding('TK-ID-DEFAULT', { subject: 'agent.conf', message: 'sets no uuid' })]
  }
  const { value, from } = uuid
  if (value === DEFAULT_AGENT_UUID) {
    return [
      finding('TK-ID-DEFAULT', { subject: from, message: `uuid is ${value}, which every agent without uuid claims` }),
    ]
  }
  // The agent takes a random ID for `generate`, and for whatever it cannot parse.
  if (
    value === 'hash_ek' ||
    value === 'dmidecode' ||
    value === 'environment' ||
    UUID.test(value) ||
    /^[0-9a-f]{64}$/.test(value)
  )
    return []
  return [
    finding('TK-ID-RANDOM', {
      subject: from,
      message: `uuid is "${value}": a new random ID at each start`,
      evidence: { uuid: value },
    }),
  ]
}

function sharedEk(hosts: readonly FleetHost[]): readonly Finding[] {
  const byEk = new Map<string, FleetHost[]>()
  for (const host of hosts) {
    const ek = host.registered?.ekTpm.toString('base64')
    if (ek !== undefined) byEk.set(ek, [...(byEk.get(ek) ?? []), host])
  }
  return [...byEk.values()]
    .filter((group) => group.length > 1)
    .flatMap((group) => {
      const subject = group.map(({ agentId }) => agentId).join(', ')
      const message = `${group.length} IDs are registered with one endorsement key`
      // Under each name, since what follows from it is said of the host by that name.
      const names = new Set(group.map(({ name }) => name))
      return [...names].map((host) =>
        finding('TK-ID-SHARED-EK', { host, subject, message, evidence: { ids: group.length } }),
      )
    })
}

function samePlace(hosts: readonly FleetHost[]): readonly Finding[] {
  const byPlace = new Map<string, FleetHost[]>()
  for (const host of hosts) {
    const { ip, port } = host.record?.value ?? {}
    if (typeof ip !== 'string' || typeof port !== 'number') continue
    const place = `${ip}:${port}`
    byPlace.set(place, [...(byPlace.get(place) ?? []), host])
  }
  return [...byPlace]
    .filter(([, group]) => group.length > 1)
    .map(([place, group]) =>
      finding('TK-ID-SAME-PLACE', {
        subject: group.map(({ agentId }) => agentId).join(', '),
        message: `${group.length} agents are enrolled at ${place}`,
        evidence: { place },
      }),
    )
}

function elsewhere(hosts: readonly FleetHost[]): readonly Finding[] {
  return hosts.flatMap((host) => {
    const [enrolled, registered] = [host.record?.value.ip, host.registered?.ip]
    if (typeof enrolled !== 'string' || registered === undefined || enrolled === registered) return []
    const message = `is enrolled at ${enrolled} and registered from ${registered}`
    return [
      finding('TK-ID-SAME-PLACE', {
        host: host.name,
        subject: host.agentId,
        message,
        evidence: { enrolled, registered },
      }),
    ]
  })
}

function orphanFindings(view: View): readonly Finding[] {
  const entries = valueOf(view.entries)
  if (entries === undefined || view.fleet.failed.spire !== undefined) return []
  const orphans = orphanEntries(view, entries)
  if (orphans.length === 0) return []
  const parents = [...new Set(orphans.map(({ parentId }) => parentId))]
  return parents.map((parent) => {
    const below = orphans.filter(({ parentId }) => parentId === parent)
    return finding('TK-ID-ORPHAN', {
      subject: parent,
      message: `is no agent, and ${below.length} ${below.length === 1 ? 'entry is' : 'entries are'} under it: ${below
        .map(({ spiffeId }) => spiffeId)
        .slice(0, 3)
        .join(', ')}`,
      evidence: { entries: below.length },
      command: `towerkeep entries reparent ${parent} NEW-AGENT`,
    })
  })
}

function ekFindings({ site, fleet, now }: View): readonly Finding[] {
  if (site.spireServer === undefined) return []
  const path = pluginKeys(site, 'server')('ek_ca_path')
  if (path === undefined) {
    return [finding('TK-ID-EK-UNCHECKED', { subject: site.spireServer.file, message: 'ek_ca_path is not set' })]
  }
  const { anchors } = loadEkAnchors(path.value)
  if (anchors === undefined) return []
  return fleet.hosts.flatMap((host) => {
    const { registered } = host
    if (registered === undefined) return []
    const why = whyUnproved(registered, anchors, now)
    return why === undefined
      ? []
      : [finding('TK-ID-EK-CHAIN', { host: host.name, subject: host.agentId, message: why })]
  })
}

function whyUnproved(record: RegistrarRecord, anchors: EkAnchors, now: number): string | undefined {
  if (record.ekCert === undefined) return 'registered no endorsement certificate'
  try {
    const judged = judgeEkChain(record.ekCert, registeredKeys(record).ek, anchors, {
      now: new Date(now),
      decide: false,
    })
    return 'fault' in judged ? `its endorsement certificate is not accepted: ${judged.reason}` : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
