/**
 * Checks of certificate, key and trust files, and of what is presented on the wire.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { nameInOneLine } from '@tower-of-omens/keylime'
import { lifeLeft, lifeOf, readCertificates, readPrivateKey } from '@tower-of-omens/keylime/tls-files'
import { type Finding, finding } from '../findings/finding.ts'
import { accessAs } from '../node/access.ts'
import { userOf } from '../node/accounts.ts'
import { readIfThere } from '../site/files.ts'
import type { ProgramName } from '../site/processes.ts'
import { handshake } from '../tls/handshake.ts'
import { trustGap } from '../tls/trust-rules.ts'
import type { Check } from './check.ts'
import type { Holder, PairUse, TrustUse } from './tls-uses.ts'
import { unseen, type View } from './view.ts'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const LOW_SHARE = 0.25

const HOLDERS: readonly Holder[] = ['verifier', 'registrar', 'keylime-agent', 'server-half', 'agent-half']

/** Which process holds which certificates, as `/proc` names it. */
const PROGRAM_OF: Readonly<Record<Holder, ProgramName>> = {
  verifier: 'keylime_verifier',
  registrar: 'keylime_registrar',
  'keylime-agent': 'keylime_agent',
  'server-half': 'spire-server',
  'agent-half': 'spire-agent',
}

/** The checks. */
export const CERT_CHECKS: readonly Check[] = [
  {
    id: 'certs-files',
    area: 'certs',
    finds: ['TK-CERT-FILE', 'TK-CERT-FILE-LOW', 'TK-CERT-KEY'],
    needs: 'the certificate and key files that configuration names',
    blind: 'files of other machines: merge their reports',
    run: ({ tls, now }) => tls.pairs.flatMap((use) => pairFindings(use, now)),
  },
  {
    id: 'certs-trust-files',
    area: 'certs',
    finds: ['TK-CERT-FILE'],
    needs: 'the trust files that configuration names',
    blind: 'CAs that are revoked',
    run: ({ tls }) => tls.trusts.flatMap(trustFileFindings),
  },
  {
    id: 'certs-clients',
    area: 'certs',
    finds: ['TK-CERT-CHAIN'],
    needs: 'certificates of the plugin and trusted_client_ca of the services on this machine',
    blind: 'services of other machines',
    run: clientFindings,
  },
  {
    id: 'certs-served',
    area: 'certs',
    finds: ['TK-CERT-OLD'],
    needs: 'the ports of the services on this machine',
    blind: 'services that listen elsewhere than their configuration says',
    run: async (view) => (await Promise.all(view.tls.pairs.map((use) => servedFindings(use, view)))).flat(),
  },
  {
    id: 'certs-admin',
    area: 'certs',
    finds: ['TK-CERT-ADMIN'],
    needs:
      "the agent's certificate of this machine, or those that hosts present; trusted_client_ca of the verifier for certainty",
    blind:
      "a verifier on another machine: then any certificate good for clients counts when its issuer is the verifier's",
    run: (view) => [...adminFindings(view), ...presentedAdmins(view)],
  },
  {
    id: 'certs-read',
    area: 'certs',
    finds: ['TK-CERT-READ'],
    needs: 'root, running services',
    blind: 'services that do not run',
    run: readFindings,
  },
]

function pairFindings(use: PairUse, now: number): readonly Finding[] {
  const subject = use.certFile
  const read = readIfThere(use.certFile)
  if (read === undefined)
    return [finding('TK-CERT-FILE', { subject, message: `does not exist; ${use.from} names it for ${use.holder}` })]
  if ('problem' in read) return [unseen(subject, read.problem.message)]
  const { certificates, problems } = readCertificates(read.text)
  const [leaf] = certificates
  if (leaf === undefined) return [finding('TK-CERT-FILE', { subject, message: problems[0] ?? 'holds no certificate' })]
  return [...lifeFindings(subject, leaf, now), ...keyFindings(use, certificates)]
}

function lifeFindings(subject: string, leaf: X509Certificate, now: number): readonly Finding[] {
  const left = lifeLeft(lifeOf(leaf), now)
  const until = leaf.validToDate.toISOString()
  const evidence = { not_after: until, left_share: Math.round(left * 1000) / 1000, serial: leaf.serialNumber }
  const name = nameInOneLine(leaf.subject)
  if (left <= 0) return [finding('TK-CERT-FILE', { subject, message: `${name} ended at ${until}`, evidence })]
  if (left >= LOW_SHARE) return []
  return [
    finding('TK-CERT-FILE-LOW', {
      subject,
      message: `${name} has ${Math.round(left * 100)} % of its life left, until ${until}`,
      evidence,
    }),
  ]
}

function keyFindings(
  { keyFile, certFile, holder, from }: PairUse,
  certificates: readonly X509Certificate[],
): readonly Finding[] {
  const read = readIfThere(keyFile)
  const wrong = (message: string): readonly Finding[] => [
    finding('TK-CERT-KEY', { subject: keyFile, message, evidence: { holder, from } }),
  ]
  if (read === undefined) return wrong(`does not exist; ${from} names it for ${holder}`)
  if ('problem' in read) return [unseen(keyFile, read.problem.message)]
  const key = readPrivateKey(read.text)
  if ('problem' in key) return wrong(key.problem)
  return certificates.some((one) => one.checkPrivateKey(key.key)) ? [] : wrong(`is not the key of ${certFile}`)
}

function trustFileFindings({ files, from, holder }: TrustUse): readonly Finding[] {
  return files.flatMap((file) => {
    const read = readIfThere(file)
    if (read === undefined)
      return [finding('TK-CERT-FILE', { subject: file, message: `does not exist; ${from} has ${holder} trust it` })]
    if ('problem' in read) return [unseen(file, read.problem.message)]
    const { certificates, problems } = readCertificates(read.text)
    if (certificates.length > 0) return []
    return [
      finding('TK-CERT-FILE', { subject: file, message: problems[0] ?? 'holds no certificate', evidence: { from } }),
    ]
  })
}

// Would the services here accept the certificates that the plugin's halves present?
function clientFindings({ tls }: View): readonly Finding[] {
  const meets: readonly (readonly [Holder, Holder])[] = [
    ['server-half', 'verifier'],
    ['server-half', 'registrar'],
    ['agent-half', 'keylime-agent'],
  ]
  return meets.flatMap(([client, server]) => {
    const pair = tls.pairs.find(({ holder, use }) => holder === client && use === 'client')
    const trust = tls.trusts.find(({ holder, of }) => holder === server && of === 'clients')
    const sent = pair === undefined ? [] : certificatesIn([pair.certFile])
    const trusted = trust === undefined ? [] : certificatesIn(trust.files)
    if (pair === undefined || trust === undefined || sent.length === 0 || trusted.length === 0) return []
    const gap = trustGap(sent, trusted, trust.rule)
    if (gap === undefined) return []
    const namesake = gap.namesake ? ', of whom it holds another key' : ''
    return [
      finding('TK-CERT-CHAIN', {
        subject: pair.certFile,
        message: `${server} would refuse it: its trust (${trust.files.join(', ')}) lacks ${gap.missing}${namesake}`,
        evidence: { holder: client, trust: trust.from, missing: gap.missing, namesake: gap.namesake },
      }),
    ]
  })
}

/**
 * Reads the certificates of several files.
 *
 * @param files Their paths.
 * @returns All of them, in order; a file that cannot be read gives none.
 */
export function certificatesIn(files: readonly string[]): readonly X509Certificate[] {
  return files.flatMap((file) => {
    const read = readIfThere(file)
    return read !== undefined && 'text' in read ? readCertificates(read.text).certificates : []
  })
}

async function servedFindings(
  { listens, certFile, holder }: PairUse,
  { timeoutMs }: View,
): Promise<readonly Finding[]> {
  const [leaf] = certificatesIn([certFile])
  if (listens === undefined || leaf === undefined) return []
  const { presented } = await handshake({ ...listens, timeoutMs })
  const [served] = presented
  if (served === undefined || served.fingerprint256 === leaf.fingerprint256) return []
  return [
    finding('TK-CERT-OLD', {
      subject: certFile,
      message: `${holder} at ${listens.host}:${listens.port} presents serial ${served.serialNumber}, the file holds ${leaf.serialNumber}`,
      evidence: { holder, served: served.serialNumber, file: leaf.serialNumber },
    }),
  ]
}

function adminFindings({ tls, site }: View): readonly Finding[] {
  const agent = tls.pairs.find(({ holder }) => holder === 'keylime-agent')
  const [leaf] = agent === undefined ? [] : certificatesIn([agent.certFile])
  if (agent === undefined || leaf === undefined || !(leaf.keyUsage ?? [CLIENT_AUTH]).includes(CLIENT_AUTH)) return []
  const trust = tls.trusts.find(({ holder, of }) => holder === 'verifier' && of === 'clients')
  const anchors = certificatesIn(
    trust?.files ?? tls.trusts.filter(({ of }) => of === 'servers').flatMap(({ files }) => files),
  )
  const chain = certificatesIn([agent.certFile])
  if (anchors.length > 0 && trustGap(chain, anchors, 'partial') !== undefined) return []
  const message =
    site.verifier === undefined
      ? `${nameInOneLine(leaf.subject)} is good for clients, and comes from the CA of Keylime's services`
      : `${nameInOneLine(leaf.subject)} is good for clients, and the verifier takes its bearer for an administrator`
  return [
    finding('TK-CERT-ADMIN', { subject: agent.certFile, message, evidence: { issuer: nameInOneLine(leaf.issuer) } }),
  ]
}

// On the verifier's machine every host is judged by what it presents.
function presentedAdmins({ tls, fleet }: View): readonly Finding[] {
  const trust = tls.trusts.find(({ holder, of }) => holder === 'verifier' && of === 'clients')
  const anchors = certificatesIn(trust?.files ?? [])
  return fleet.hosts.flatMap((host) => {
    if ('failed' in host.certificate || anchors.length === 0) return []
    const leaf = host.certificate.value.certificate
    if (!(leaf.keyUsage ?? [CLIENT_AUTH]).includes(CLIENT_AUTH) || trustGap([leaf], anchors, 'partial') !== undefined)
      return []
    const message = `${nameInOneLine(leaf.subject)} is good for clients, and the verifier takes its bearer for an administrator`
    return [finding('TK-CERT-ADMIN', { host: host.name, subject: host.agentId, message })]
  })
}

async function readFindings({ site, tls }: View): Promise<readonly Finding[]> {
  const found = await Promise.all(
    site.processes.map(async ({ program, uid, pid }): Promise<readonly Finding[]> => {
      const holders = HOLDERS.filter((holder) => PROGRAM_OF[holder] === program)
      const files = [
        ...tls.pairs
          .filter(({ holder }) => holders.includes(holder))
          .flatMap(({ certFile, keyFile }) => [certFile, keyFile]),
        ...tls.trusts.filter(({ holder }) => holders.includes(holder)).flatMap((trust) => trust.files),
      ].filter((file) => existsSync(file))
      if (files.length === 0 || uid === 0) return []
      const user = userOf(uid, pid)
      const access = await accessAs(user, files)
      if (access.is === 'untried')
        return [unseen(`files of ${program}`, `access as ${user.name} can be tried by root only`)]
      if (access.is === 'readable') return []
      return access.files.map((file) =>
        finding('TK-CERT-READ', {
          subject: file,
          message: `user ${user.name}, as whom ${program} runs, cannot read it (${ownerWords(file)})`,
          evidence: { user: user.name, program },
        }),
      )
    }),
  )
  return found.flat()
}

function ownerWords(file: string): string {
  const { uid, gid, mode } = statSync(file)
  return `uid ${uid}, gid ${gid}, mode ${(mode & 0o7777).toString(8).padStart(4, '0')}`
}
