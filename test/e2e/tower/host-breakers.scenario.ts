/**
 * What can be wrong with a host, each so that doctor names it as the only cause.
 *
 * @module
 */
import { DEFAULT_AGENT_UUID } from '@tower-of-omens/keylime'
import type { EnrolmentPolicy } from '../../lab/services/keylime-admin.ts'
import { installPair } from '../../lab/services/pki.ts'
import { expire, renew, tamper } from '../../lab/tower/actions.ts'
import type { Heal } from '../../lab/tower/breakage.ts'
import { FULL_POLICY } from '../../lab/tower/full-policy.ts'
import type { CertificateWish, TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { all, type Bench, type Breaker, edited, SERVER } from './breaking.ts'
import { svidReturns } from './scenario.ts'

const ANOTHER_UUID = '0b5e77a1-5d3c-4d0e-9d57-1f6c3a8e2b44'
const AS_ITSELF = { uuid: 'hash_ek' } as const
const MASK_ONLY: EnrolmentPolicy = { tpmPolicy: { mask: '0x90' } }

/** Takes the spare host out of both of Keylime's services. */
async function forget({ tower, spare }: Bench, ...ids: readonly string[]): Promise<void> {
  const { admin } = tower.keylime
  await spare.stopKeylimeAgent()
  for (const id of ids) {
    if ((await admin.enrolled(id)) !== undefined) await admin.unenrol(id)
    if ((await admin.registered(id)) !== undefined) await admin.unregister(id)
  }
}

/** The spare host is registered, under one ID after the other. */
function registered(...uuids: readonly string[]): Breaker['breakIt'] {
  return async (bench) => {
    const ids: string[] = []
    for (const uuid of uuids) {
      await bench.spare.stopKeylimeAgent()
      await bench.spare.startKeylimeAgent({ uuid })
      ids.push(bench.spare.agentId)
    }
    return () => forget(bench, ...ids)
  }
}

/** The spare host is enrolled, and has passed a quote; then what is given happens to it. */
function enrolled(
  policy: EnrolmentPolicy,
  then: (host: TowerHost, bench: Bench) => Promise<Heal | void> = () => Promise.resolve(),
): Breaker['breakIt'] {
  return async (bench) => {
    const { spare, tower } = bench
    await spare.startKeylimeAgent(AS_ITSELF)
    const id = spare.agentId
    let mend: Heal | void
    const healed = async (): Promise<void> => {
      await mend?.()
      await forget(bench, id)
    }
    try {
      await tower.keylime.admin.enrol(id, policy)
      await tower.keylime.admin.waitForQuotes(id)
      mend = await then(spare, bench)
    } catch (error) {
      await healed()
      throw error
    }
    return healed
  }
}

/** The spare host is enrolled where another one is, and nothing is waited for. */
async function misplaced(bench: Bench): Promise<Heal> {
  const { spare, tower } = bench
  await spare.startKeylimeAgent(AS_ITSELF)
  await tower.keylime.admin.enrol(spare.agentId, FULL_POLICY, { host: tower.host('auth').ip })
  return () => forget(bench, spare.agentId)
}

/** The Keylime agent of a host that lives serves another certificate. */
function renewed(name: string, wish: CertificateWish): Breaker['breakIt'] {
  return async ({ tower }) => {
    const host = tower.host(name)
    await host.renewCertificates(wish)
    return () => renew(tower, host)
  }
}

/** The certificate of a host that lives has ended. */
function expired(name: string): Breaker['breakIt'] {
  return async ({ tower }) => {
    const host = tower.host(name)
    await expire(host)
    return async () => {
      await renew(tower, host)
      await svidReturns(host)
    }
  }
}

/** The Keylime agent of a host that lives serves a certificate that is good for clients too. */
function administrator(name: string): Breaker['breakIt'] {
  return async ({ tower }) => {
    const host = tower.host(name)
    const names = { commonName: `${name}.${DOMAIN}`, names: ['localhost'], ips: [host.ip, '127.0.0.1'] }
    const pair = await tower.bao.issue({ role: 'keylime-services', ...names, ttl: '24h' })
    installPair(pair, host.files.agentCert, host.files.agentKey)
    await host.stopKeylimeAgent()
    await host.startKeylimeAgent()
    return () => renew(tower, host)
  }
}

const AGED: CertificateWish = { role: 'keylime-agents-aged', ttl: '4h' }

/** Waits until the verifier has made up its mind about the spare host. */
const judged = ({ tower, spare }: Bench, state: 'failed' | 'rejected') =>
  tower.keylime.admin.waitForState(spare.agentId, state, 60_000)

/** The breakers. */
export const HOST_BREAKERS: readonly Breaker[] = [
  {
    what: 'a host with the ID that every agent without uuid claims [P06]',
    check: 'identity-default',
    id: 'TK-ID-DEFAULT',
    breakIt: registered(DEFAULT_AGENT_UUID),
  },
  {
    what: 'one TPM under two IDs [P06]',
    check: 'identity-shared-ek',
    id: 'TK-ID-SHARED-EK',
    breakIt: registered('hash_ek', ANOTHER_UUID),
  },
  {
    what: 'a host that nobody has enrolled',
    check: 'keylime-hosts',
    id: 'TK-KL-NOT-ENROLLED',
    breakIt: registered('hash_ek'),
  },
  {
    what: "a host that is enrolled at another one's address [P04]",
    check: 'identity-place',
    id: 'TK-ID-SAME-PLACE',
    breakIt: misplaced,
  },
  {
    what: 'a policy that compares nothing [P01]',
    check: 'keylime-hosts',
    id: 'TK-KL-WEAK-POLICY',
    breakIt: all(
      edited(SERVER, /^( *)require_ek_uuid/m, '$1require_policy = ["pcr"]\n$1require_ek_uuid'),
      enrolled(MASK_ONLY),
    ),
  },
  {
    what: 'a host that Keylime vouches for, without a SPIRE agent [P08]',
    check: 'keylime-hosts',
    id: 'TK-SPIRE-ABSENT',
    breakIt: enrolled(FULL_POLICY),
  },
  {
    what: 'a host that failed its measurements [P26]',
    check: 'keylime-hosts',
    id: 'TK-KL-VERDICT',
    breakIt: enrolled(FULL_POLICY, async (host, bench) => {
      await tamper(host)
      await judged(bench, 'rejected')
      return () => host.reboot()
    }),
  },
  {
    what: 'a host whose Keylime agent is gone [P03]',
    check: 'keylime-hosts',
    id: 'TK-KL-ABSENT',
    breakIt: enrolled(FULL_POLICY, async (host, bench) => {
      await host.stopKeylimeAgent()
      await judged(bench, 'failed')
    }),
  },
  {
    what: 'a certificate of a Keylime agent that is to end soon [P10]',
    check: 'keylime-hosts',
    id: 'TK-CERT-LOW',
    breakIt: renewed('auth', AGED),
  },
  {
    what: 'a certificate file that is to end soon [P10]',
    check: 'certs-files',
    id: 'TK-CERT-FILE-LOW',
    breakIt: renewed('spire', AGED),
  },
  {
    what: 'a certificate of a Keylime agent that has ended [T64] [P10]',
    check: 'keylime-hosts',
    id: 'TK-CERT-EXPIRED',
    breakIt: expired('auth'),
  },
  {
    what: 'a certificate file that has ended [T64] [P10]',
    check: 'certs-files',
    id: 'TK-CERT-FILE',
    breakIt: expired('spire'),
  },
  {
    what: 'a host whose certificate makes it an administrator [P08]',
    check: 'certs-admin',
    id: 'TK-CERT-ADMIN',
    breakIt: administrator('ca'),
  },
  {
    what: 'a certificate of this host with which the verifier lets anybody in, as a GET proves [T88] [P08]',
    check: 'net-admin',
    id: 'TK-CERT-ADMIN',
    words: ['--prove'],
    breakIt: administrator('spire'),
  },
  {
    what: 'a SPIRE agent that was banned',
    check: 'keylime-hosts',
    id: 'TK-SPIRE-BANNED',
    breakIt: async ({ tower }) => {
      const host = tower.host('ca')
      await tower.spire.ban(host.spiffeId)
      return async () => {
        await tower.spire.evict(host.spiffeId)
        await svidReturns(host)
      }
    },
  },
]
