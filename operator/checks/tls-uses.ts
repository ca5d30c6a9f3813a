/**
 * Which program of this machine uses which certificate, key and trust file, and who dials whom with them.
 *
 * @module
 */
import { isAbsolute, join } from 'node:path'
import type { HostPort } from '@tower-of-omens/keylime'
import { readIfThere } from '../site/files.ts'
import { clientTls, serverTls } from '../site/keylime-tls.ts'
import type { Services } from '../site/services.ts'
import type { Site } from '../site/site.ts'
import { parseSpireConf, SpireConf } from '../site/spire-conf.ts'
import type { TrustRule } from '../tls/trust-rules.ts'

/** Programs that hold certificates. */
export type Holder = 'verifier' | 'registrar' | 'keylime-agent' | 'server-half' | 'agent-half'

/** A certificate with its key, and what it is for. */
export interface PairUse {
  readonly holder: Holder
  readonly use: 'server' | 'client'
  readonly certFile: string
  readonly keyFile: string
  /** Where the holder listens with it. */
  readonly listens?: HostPort
  /** Place in the configuration. */
  readonly from: string
}

/** A trust file, and how its holder reads it. */
export interface TrustUse {
  readonly holder: Holder
  /** Whom it is to recognise. */
  readonly of: 'servers' | 'clients'
  readonly files: readonly string[]
  readonly rule: TrustRule
  readonly from: string
}

/** One program dials another. */
export interface Arrow {
  readonly dialler: Holder
  readonly target: 'verifier' | 'registrar' | 'keylime-agent'
  readonly address: HostPort
  /** Name that the dialler looks for in the certificate; undefined: it does not look. */
  readonly name?: string
  readonly trust: TrustUse
  /** PEM of a certificate that the dialler trusts besides. */
  readonly known?: string
}

/** Everything about TLS on this machine. */
export interface TlsUses {
  readonly pairs: readonly PairUse[]
  readonly trusts: readonly TrustUse[]
  /** Arrows whose target is known from configuration; those to Keylime agents come from the fleet. */
  readonly arrows: readonly Arrow[]
}

/**
 * Works out what is used.
 *
 * @param site This machine.
 * @param services Addresses of the services.
 * @returns Pairs, trust files and arrows; files need not exist.
 */
export function tlsUsesOf(site: Site, services: Services): TlsUses {
  const parts = [
    verifierUses(site),
    registrarUses(site),
    agentUses(site),
    serverHalfUses(site, services),
    agentHalfUses(site),
  ]
  return {
    pairs: parts.flatMap(({ pairs }) => pairs),
    trusts: parts.flatMap(({ trusts }) => trusts),
    arrows: parts.flatMap(({ arrows }) => arrows),
  }
}

const NONE: TlsUses = { pairs: [], trusts: [], arrows: [] }

function verifierUses({ verifier }: Site): TlsUses {
  if (verifier === undefined) return NONE
  const [server, client] = [serverTls(verifier), clientTls(verifier)]
  const host = verifier.text('ip')?.value ?? '127.0.0.1'
  const listens = { host, port: Number(verifier.text('port')?.value ?? 8881) }
  return {
    pairs: [
      pair('verifier', 'server', server.certFile.value, server.keyFile.value, server.certFile.from, listens),
      pair('verifier', 'client', client.certFile.value, client.keyFile.value, client.certFile.from),
    ],
    trusts: [
      { holder: 'verifier', of: 'clients', files: server.caFiles.value, rule: 'to-root', from: server.caFiles.from },
      { holder: 'verifier', of: 'servers', files: client.caFiles.value, rule: 'to-root', from: client.caFiles.from },
    ],
    arrows: [],
  }
}

function registrarUses({ registrar }: Site): TlsUses {
  if (registrar === undefined) return NONE
  const server = serverTls(registrar)
  const listens = {
    host: registrar.text('ip')?.value ?? '127.0.0.1',
    port: Number(registrar.text('tls_port')?.value ?? 8891),
  }
  return {
    pairs: [pair('registrar', 'server', server.certFile.value, server.keyFile.value, server.certFile.from, listens)],
    trusts: [
      { holder: 'registrar', of: 'clients', files: server.caFiles.value, rule: 'to-root', from: server.caFiles.from },
    ],
    arrows: [],
  }
}

function agentUses({ keylimeAgent }: Site): TlsUses {
  if (keylimeAgent === undefined || keylimeAgent.text('enable_agent_mtls')?.value === 'false') return NONE
  const home = keylimeAgent.text('keylime_dir')?.value ?? '/var/lib/keylime'
  const file = (key: string, fallback: string): { value: string; from: string } => {
    const found = keylimeAgent.text(key)
    const value = found === undefined || found.value === '' || found.value === 'default' ? fallback : found.value
    return { value: isAbsolute(value) ? value : join(home, value), from: found?.from ?? 'default of keylime_agent' }
  }
  const [cert, key, ca] = [
    file('server_cert', 'server-cert.crt'),
    file('server_key', 'server-private.pem'),
    keylimeAgent.text('trusted_client_ca'),
  ]
  const port = Number(keylimeAgent.text('port')?.value ?? 9002)
  const files = listOf(ca?.value ?? 'cv_ca/cacert.crt').map((one) => (isAbsolute(one) ? one : join(home, one)))
  return {
    pairs: [pair('keylime-agent', 'server', cert.value, key.value, cert.from, { host: '127.0.0.1', port })],
    trusts: [
      { holder: 'keylime-agent', of: 'clients', files, rule: 'to-root', from: ca?.from ?? 'default of keylime_agent' },
    ],
    arrows: [],
  }
}

// One path, or a list as TOML or as Keylime writes it.
function listOf(text: string): readonly string[] {
  const inner = /^\[(.*)\]$/s.exec(text.trim())?.[1]
  if (inner === undefined) return [text]
  return inner
    .split(',')
    .map((part) => part.trim().replaceAll(/^["']|["']$/g, ''))
    .filter((part) => part !== '')
}

function serverHalfUses(site: Site, services: Services): TlsUses {
  const text = pluginKeys(site, 'server')
  const [cert, key, ca] = ['keylime_tls_cert_file', 'keylime_tls_key_file', 'keylime_tls_ca_cert_file'].map(text)
  if (cert === undefined || key === undefined || ca === undefined) return NONE
  const trust: TrustUse = { holder: 'server-half', of: 'servers', files: [ca.value], rule: 'partial', from: ca.from }
  const to = (target: 'verifier' | 'registrar'): readonly Arrow[] =>
    (target === 'verifier' ? services.verifiers : services.registrars).value.map(({ address, serverName }) => ({
      dialler: 'server-half',
      target,
      address,
      name: serverName ?? address.host,
      trust,
    }))
  return {
    pairs: [pair('server-half', 'client', cert.value, key.value, cert.from)],
    trusts: [trust],
    arrows: [...to('verifier'), ...to('registrar')],
  }
}

function agentHalfUses(site: Site): TlsUses {
  const text = pluginKeys(site, 'agent')
  const [cert, key, ca] = ['keylime_agent_client_cert', 'keylime_agent_client_key', 'keylime_agent_ca_cert'].map(text)
  if (cert === undefined || key === undefined || ca === undefined) return NONE
  const host = text('keylime_agent_host')?.value ?? '127.0.0.1'
  const port = Number(text('keylime_agent_port')?.value ?? 9002)
  const trust: TrustUse = { holder: 'agent-half', of: 'servers', files: [ca.value], rule: 'partial', from: ca.from }
  const name = text('keylime_agent_server_name')?.value ?? host
  return {
    pairs: [pair('agent-half', 'client', cert.value, key.value, cert.from)],
    trusts: [trust],
    arrows: [{ dialler: 'agent-half', target: 'keylime-agent', address: { host, port }, name, trust }],
  }
}

/**
 * Gives a way to read keys of a plugin's configuration, whether they stand in SPIRE's file or in one of their own.
 *
 * @param site This machine.
 * @param side Which half.
 * @returns A function from a key to its value and place.
 */
export function pluginKeys(
  site: Site,
  side: 'server' | 'agent',
): (key: string) => { readonly value: string; readonly from: string } | undefined {
  const conf = side === 'server' ? site.spireServer : site.spireAgent
  const path = ['plugins', 'NodeAttestor', 'keylime'] as const
  const own = conf?.text(...path, 'plugin_data_file')?.value
  const read = own === undefined ? undefined : readIfThere(own)
  const parsed = read !== undefined && 'text' in read && own !== undefined ? parseSpireConf(own, read.text) : undefined
  return (key) => (parsed instanceof SpireConf ? parsed.text(key) : conf?.text(...path, 'plugin_data', key))
}

function pair(
  holder: Holder,
  use: PairUse['use'],
  certFile: string,
  keyFile: string,
  from: string,
  listens?: HostPort,
): PairUse {
  return { holder, use, certFile, keyFile, from, ...(listens !== undefined && { listens }) }
}
