/**
 * How the services are reached, from all that was found: addresses, certificates, sockets, and the plugin's rules.
 *
 * @module
 */
import { type HostPort, parseHostPort } from '@tower-of-omens/keylime'
import { type AskedConfig, readAsked } from '../../server-attestor/config.ts'
import { readIfThere } from './files.ts'
import { clientTls } from './keylime-tls.ts'
import type { Site } from './site.ts'
import { byDefault, firstOf, type Sourced } from './sourced.ts'
import { configured } from './towerkeep-conf.ts'

/** Where SPIRE listens unless it is told otherwise. */
export const DEFAULT_SPIRE_SOCKET = '/tmp/spire-server/private/api.sock'

/** One Keylime service. */
export interface KeylimeService {
  readonly address: HostPort
  readonly serverName?: string | undefined
}

/** How everything is reached. */
export interface Services {
  readonly verifiers: Sourced<readonly KeylimeService[]>
  readonly registrars: Sourced<readonly KeylimeService[]>
  readonly keylimeTls:
    | Sourced<{ readonly caFile: string; readonly certFile: string; readonly keyFile: string }>
    | undefined
  readonly spireSockets: Sourced<readonly string[]>
  /** Undefined: it must be asked for. */
  readonly trustDomain: Sourced<string> | undefined
  /** Name under which SPIRE knows the attestor: the third part of the agents' IDs. */
  readonly attestor: string
  /** The plugin's configuration, which decides how the gate judges; its defaults where there is none. */
  readonly plugin: Sourced<AskedConfig>
  /** Agent ID to the name that the configuration gives it. */
  readonly hostNames: ReadonlyMap<string, string>
}

/**
 * Works out how the services are reached.
 *
 * @param site What is on this machine.
 * @returns Addresses, files, rules.
 */
export function servicesOf(site: Site): Services {
  const { towerkeep, spireServer } = site
  const plugin = pluginConfig(site)
  return {
    verifiers: keylimeServices(site, 'verifier', plugin),
    registrars: keylimeServices(site, 'registrar', plugin),
    keylimeTls: keylimeTls(site),
    spireSockets:
      firstOf(configured(towerkeep, 'spire_sockets'), listOf(spireServer?.text('server', 'socket_path'))) ??
      byDefault([DEFAULT_SPIRE_SOCKET], 'spire-server'),
    trustDomain: firstOf(
      configured(towerkeep, 'trust_domain'),
      spireServer?.text('server', 'trust_domain'),
      site.spireAgent?.text('agent', 'trust_domain'),
    ),
    attestor: 'keylime',
    plugin,
    hostNames: hostNames(towerkeep.values.hosts),
  }
}

function listOf(value: Sourced<string> | undefined): Sourced<readonly string[]> | undefined {
  return value === undefined ? undefined : { value: [value.value], from: value.from }
}

// The block in server.conf, or the file it names.
function pluginConfig({ spireServer }: Site): Sourced<AskedConfig> {
  const path = ['plugins', 'NodeAttestor', 'keylime'] as const
  const file = spireServer?.text(...path, 'plugin_data_file')
  if (file !== undefined) {
    const read = readIfThere(file.value)
    if (read !== undefined && 'text' in read) return { value: readAsked(read.text), from: file.value }
  }
  const block = spireServer?.blockText(...path, 'plugin_data')
  return block === undefined
    ? byDefault(readAsked(''), 'the plugin')
    : { value: readAsked(block.value), from: block.from }
}

function keylimeServices(
  site: Site,
  role: 'verifier' | 'registrar',
  plugin: Sourced<AskedConfig>,
): Sourced<readonly KeylimeService[]> {
  const { towerkeep, tenant } = site
  const { values } = towerkeep
  const serverName = role === 'verifier' ? values.keylime_verifier_server_name : values.keylime_registrar_server_name
  const own = configured(towerkeep, role === 'verifier' ? 'keylime_verifiers' : 'keylime_registrars')
  if (own !== undefined) {
    const addresses = own.value.map((text) => parseHostPort(text, 0)).filter((one) => one !== undefined)
    return { value: addresses.map((address) => ({ address, serverName })), from: own.from }
  }
  const asked = plugin.value
  if (!plugin.from.startsWith('default')) {
    const name = serverName ?? (role === 'verifier' ? asked.verifierServerName : asked.registrarServerName)
    const addresses = role === 'verifier' ? asked.verifiers : asked.registrars
    return { value: addresses.map((address) => ({ address, serverName: name })), from: plugin.from }
  }
  const host = tenant?.text(`${role}_ip`)
  const port = Number(tenant?.text(`${role}_port`)?.value ?? (role === 'verifier' ? 8881 : 8891))
  if (host !== undefined) return { value: [{ address: { host: host.value, port }, serverName }], from: host.from }
  const addresses = role === 'verifier' ? asked.verifiers : asked.registrars
  return byDefault(
    addresses.map((address) => ({ address, serverName })),
    'keylime',
  )
}

// Our own pair, or the one of the operator who can run keylime_tenant; never the plugin's.
function keylimeTls({ towerkeep, tenant }: Site): Services['keylimeTls'] {
  const cert = configured(towerkeep, 'keylime_cert_file')
  const key = towerkeep.values.keylime_key_file
  const ca = towerkeep.values.keylime_ca_file
  const theirs = tenant === undefined ? undefined : clientTls(tenant)
  const caFile = ca ?? theirs?.caFiles.value[0]
  if (cert !== undefined && key !== undefined && caFile !== undefined) {
    return { value: { caFile, certFile: cert.value, keyFile: key }, from: cert.from }
  }
  if (theirs === undefined || caFile === undefined) return undefined
  return {
    value: { caFile, certFile: theirs.certFile.value, keyFile: theirs.keyFile.value },
    from: theirs.certFile.from,
  }
}

function hostNames(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(at + 1), pair.slice(0, at)]
    }),
  )
}
