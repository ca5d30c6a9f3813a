/**
 * The hosts of the tower, and the names it is known by.
 *
 * @module
 */
import type { KeylimePorts } from '../services/keylime-conf.ts'
import type { NetworkHost } from './network.ts'

/** Trust domain and DNS suffix of the tower. */
export const DOMAIN = 'funlab.casa'

/** Address of the verifier, the registrar, OpenBao and the SPIRE server. */
export const SERVICES_IP = '10.10.2.62'

/** Ports of Keylime's services, as Keylime has them by default. */
export const KEYLIME_PORTS: KeylimePorts = { verifier: 8881, registrar: 8890, registrarTls: 8891 }

/** Port of the verifier in push mode, beside the other one: a verifier has one mode. */
export const PUSH_VERIFIER_PORT = 8882

/** One place of services: a host, its address, and the names of what runs there. */
export interface Site {
  readonly host: string
  readonly ip: string
  readonly names: { readonly spire: string; readonly verifier: string; readonly registrar: string }
  /** Tells its folders from the first site's. */
  readonly suffix: '' | '2'
}

/** Port of the bell of `towerkeep watch`, which is the verifiers' webhook. */
export const BELL_PORT = 9443

/** Names of the services, all on host `spire`. */
export const SERVICE_NAMES = {
  spire: `spire.${DOMAIN}`,
  verifier: `verifier.keylime.${DOMAIN}`,
  registrar: `registrar.keylime.${DOMAIN}`,
  openbao: `openbao.${DOMAIN}`,
} as const

/** The site that every tower has; its host is a node of the fleet too. */
export const FIRST_SITE: Site = { host: 'spire', ip: SERVICES_IP, names: SERVICE_NAMES, suffix: '' }

/** The site of a tower with `twoSites`: services alone, on a host without a TPM. */
export const SECOND_SITE: Site = {
  host: 'spire2',
  ip: '10.10.2.63',
  names: {
    spire: `spire2.${DOMAIN}`,
    verifier: `verifier2.keylime.${DOMAIN}`,
    registrar: `registrar2.keylime.${DOMAIN}`,
  },
  suffix: '2',
}

/** The one name by which SPIRE agents know every SPIRE server; it leads to each of them. */
export const SPIRE_SERVERS_NAME = `servers.${DOMAIN}`

const ADDRESSES: readonly (readonly [string, string])[] = [
  ['spire', SERVICES_IP],
  ['auth', '10.10.2.70'],
  ['ca', '10.10.2.60'],
]

/** First address for hosts beyond the three. */
const FIRST_MORE = 101

/**
 * Describes the first hosts of the tower: spire, auth, ca, then node1, node2, …
 *
 * @param count How many, 1 to 100.
 */
export function towerHosts(count: number): readonly NetworkHost[] {
  return Array.from({ length: count }, (_, index) => {
    const [name, ip] = ADDRESSES[index] ?? [`node${index - 2}`, `10.10.2.${FIRST_MORE + index - ADDRESSES.length}`]
    return newHost(name, ip)
  })
}

/**
 * Describes one host.
 *
 * @param name Short name, lower-case letters and digits, at most 10: it becomes part of a network link's name.
 */
export function newHost(name: string, ip: string): NetworkHost {
  const services = name === 'spire' ? [...Object.values(SERVICE_NAMES), SPIRE_SERVERS_NAME] : [`${name}.${DOMAIN}`]
  return { name, ip, names: [...services, name] }
}

/** Describes the host of a site that is no node. */
export function siteHost({ host, ip, names }: Site): NetworkHost {
  return { name: host, ip, names: [...Object.values(names), SPIRE_SERVERS_NAME, host] }
}
