/**
 * Checks of who dials whom: what is presented, whether the dialler trusts it, and what proxies in between do.
 *
 * @module
 */

import type { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { formatHostPort, type HostPort } from '@tower-of-omens/keylime'
import { readCertificates } from '@tower-of-omens/keylime/tls-files'
import { type Finding, finding } from '../findings/finding.ts'
import { handshake } from '../tls/handshake.ts'
import { trustGap } from '../tls/trust-rules.ts'
import { certificatesIn } from './certs.ts'
import type { Check } from './check.ts'
import { nginxServers } from './nginx.ts'
import type { Arrow, TrustUse } from './tls-uses.ts'
import { unseen, type View } from './view.ts'

/** The checks. */
export const NET_CHECKS: readonly Check[] = [
  {
    id: 'net-arrows',
    area: 'net',
    finds: ['TK-CERT-CHAIN', 'TK-NET-NAME'],
    needs: 'the ports of Keylime, trust files of the diallers on this machine',
    blind: 'diallers of other machines: merge their reports',
    run: arrowFindings,
  },
  {
    id: 'net-plain',
    area: 'net',
    finds: ['TK-NET-PLAIN'],
    needs: 'agent.conf or registrar.conf',
    blind: 'a tunnel around the port',
    run: plainFindings,
  },
  {
    id: 'net-proxies',
    area: 'net',
    finds: ['TK-NET-PROXY-LOG', 'TK-NET-LENDS'],
    needs: '/etc/nginx',
    blind: 'other proxies, and nginx on other machines',
    run: proxyFindings,
  },
  {
    id: 'net-admin',
    area: 'net',
    finds: ['TK-CERT-ADMIN'],
    needs: "the agent's key, the verifier",
    blind: 'what the verifier would let it change: only GET is tried',
    proves: true,
    run: proveAdmin,
  },
  {
    id: 'net-cross',
    area: 'net',
    finds: ['TK-NET-CROSS'],
    needs: "the agent half's key, the Keylime agents of other hosts",
    blind: 'hosts that are down',
    proves: true,
    run: proveCross,
  },
]

async function arrowFindings(view: View): Promise<readonly Finding[]> {
  const found = await Promise.all([...view.tls.arrows, ...agentArrows(view)].map((arrow) => arrowFinding(arrow, view)))
  return found.flat()
}

// The verifier dials every agent that it polls.
function agentArrows({ tls, fleet }: View): readonly Arrow[] {
  const trust = tls.trusts.find(({ holder, of }) => holder === 'verifier' && of === 'servers')
  if (trust === undefined) return []
  return fleet.hosts.flatMap(({ record, registered }): readonly Arrow[] => {
    const { ip, port } = record?.value ?? {}
    if (typeof ip !== 'string' || typeof port !== 'number') return []
    const known = registered?.mtlsCert
    return [
      {
        dialler: 'verifier',
        target: 'keylime-agent',
        address: { host: ip, port },
        trust,
        ...(known !== undefined && { known }),
      },
    ]
  })
}

async function arrowFinding(
  { dialler, target, address, name, trust, known }: Arrow,
  view: View,
): Promise<readonly Finding[]> {
  const { presented } = await handshake({ ...address, serverName: name, timeoutMs: view.timeoutMs })
  const [leaf] = presented
  // The verifier also trusts the certificate that the agent registered, which helps where that is its own issuer.
  const besides = known === undefined ? [] : readCertificates(known).certificates
  const trusted = [...certificatesIn(trust.files), ...besides]
  // Who does not answer is another area's finding, and a trust file that cannot be read is named by area certs.
  if (leaf === undefined || trusted.length === 0) return []
  const where = `${target} ${formatHostPort(address)}`
  const host = hostAt(view, address)
  const gap = trustGap(presented, trusted, trust.rule)
  if (gap !== undefined) {
    const namesake = gap.namesake ? ', of whom it holds another key' : ''
    const message = `${dialler} does not trust ${where}: it presents ${presented.length} certificate${presented.length === 1 ? '' : 's'}, and ${trust.files.join(', ')} lacks ${gap.missing}${namesake}`
    return [
      finding('TK-CERT-CHAIN', {
        host,
        subject: trust.files[0] ?? where,
        message,
        evidence: chainEvidence(trust, gap.missing, gap.namesake),
      }),
    ]
  }
  if (name === undefined || isNamed(leaf, name)) return []
  const names = (leaf.subjectAltName ?? 'no names').slice(0, 200)
  return [
    finding('TK-NET-NAME', {
      host,
      subject: where,
      message: `is called ${name} by ${dialler}, and its certificate has ${names}`,
    }),
  ]
}

function chainEvidence(trust: TrustUse, missing: string, namesake: boolean): Finding['evidence'] {
  return { holder: trust.holder, trust: trust.from, rule: trust.rule, missing, namesake }
}

function isNamed(leaf: X509Certificate, name: string): boolean {
  return isIP(name) === 0 ? leaf.checkHost(name) !== undefined : leaf.checkIP(name) !== undefined
}

function hostAt({ fleet }: View, { host }: HostPort): string | null {
  return fleet.hosts.find(({ record }) => record?.value.ip === host)?.name ?? null
}

function plainFindings({ site }: View): readonly Finding[] {
  const registrar = site.registrar?.text('ip')
  if (registrar !== undefined && registrar.value !== '127.0.0.1' && registrar.value !== 'localhost') {
    const port = site.registrar?.text('port')?.value ?? '8890'
    const message = `port ${port} speaks plain HTTP on ${registrar.value}; agents register there`
    return [finding('TK-NET-PLAIN', { subject: registrar.from, message })]
  }
  const agent = site.keylimeAgent
  const port = agent?.text('registrar_port')
  if (agent === undefined || agent.text('registrar_tls_enabled')?.value === 'true') return []
  const to = `${agent.text('registrar_ip')?.value ?? '127.0.0.1'}:${port?.value ?? '8890'}`
  return [
    finding('TK-NET-PLAIN', {
      subject: port?.from ?? 'agent.conf',
      message: `this host registers at ${to} over plain HTTP`,
    }),
  ]
}

function proxyFindings({ root, services }: View): readonly Finding[] {
  const ports = new Set([...services.verifiers.value.map(({ address }) => address.port), 8881])
  return nginxFiles(join(root, '/etc/nginx')).flatMap((file) =>
    nginxServers(readFileSync(file, 'utf8')).flatMap(({ line, text }) => {
      const target = /proxy_pass\s+https:\/\/[^;:]+:(\d+)/.exec(text)?.[1]
      if (target === undefined || !ports.has(Number(target))) return []
      const subject = `${file}:${line}`
      const lends = /proxy_ssl_certificate\s/.test(text) && !/ssl_verify_client\s+on/.test(text)
      const logs = !/access_log\s+off/.test(text) && !/access_log\s+\S+\s+\w*(uri|noquery)\w*/.test(text)
      return [
        ...(lends
          ? [
              finding('TK-NET-LENDS', {
                subject,
                message: `presents ${/proxy_ssl_certificate\s+([^;]+)/.exec(text)?.[1]} to the verifier for every caller`,
              }),
            ]
          : []),
        ...(logs
          ? [finding('TK-NET-PROXY-LOG', { subject, message: 'logs whole request lines of calls to the verifier' })]
          : []),
      ]
    }),
  )
}

function nginxFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.conf$|sites-enabled/.test(join(entry.parentPath, entry.name)))
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
  } catch {
    return []
  }
}

async function proveAdmin(view: View): Promise<readonly Finding[]> {
  const agent = view.tls.pairs.find(({ holder }) => holder === 'keylime-agent')
  const verifier = view.services.verifiers.value[0]
  if (agent === undefined || verifier === undefined) return []
  const seen = await dial(verifier.address, agent.certFile, agent.keyFile, view)
  if (seen === undefined) return [unseen(agent.keyFile, 'cannot be read, so nothing was proved with it')]
  if (seen !== 'accepted') return []
  const message = `the verifier ${formatHostPort(verifier.address)} accepts it as a client`
  return [finding('TK-CERT-ADMIN', { subject: agent.certFile, message, evidence: { proved: true } })]
}

async function proveCross(view: View): Promise<readonly Finding[]> {
  const pair = view.tls.pairs.find(({ holder }) => holder === 'agent-half')
  if (pair === undefined) return []
  const own = new Set(
    certificatesIn(
      view.tls.pairs.filter(({ holder }) => holder === 'keylime-agent').map(({ certFile }) => certFile),
    ).map((one) => one.fingerprint256),
  )
  const found = await Promise.all(
    view.fleet.hosts.map(async (host): Promise<readonly Finding[]> => {
      const address = hostAddress(host.record?.value)
      const isOwn = 'value' in host.certificate && own.has(host.certificate.value.certificate.fingerprint256)
      if (address === undefined || isOwn) return []
      if ((await dial(address, pair.certFile, pair.keyFile, view)) !== 'accepted') return []
      const message = `the Keylime agent of ${host.name} at ${formatHostPort(address)} accepts ${pair.certFile} of this host`
      return [finding('TK-NET-CROSS', { host: host.name, subject: pair.certFile, message })]
    }),
  )
  return found.flat()
}

function hostAddress(
  record: { readonly ip?: string | undefined; readonly port?: number | undefined } | undefined,
): HostPort | undefined {
  return record?.ip === undefined || record.port === undefined ? undefined : { host: record.ip, port: record.port }
}

// A server of TLS 1.3 refuses a client's certificate after the client is done, so the connection is watched a while.
async function dial(
  address: HostPort,
  certFile: string,
  keyFile: string,
  { timeoutMs }: View,
): Promise<'accepted' | 'refused' | undefined> {
  try {
    const client = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    const { failure } = await handshake({ ...address, client, timeoutMs })
    return failure === undefined ? 'accepted' : 'refused'
  } catch {
    return undefined
  }
}
