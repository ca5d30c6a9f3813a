/**
 * The proof that a service serves its new certificate, and that every peer takes it.
 *
 * @module
 */
import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { nameInOneLine, parseHostPort } from '@tower-of-omens/keylime'
import { readCertificates } from '@tower-of-omens/keylime/tls-files'
import { type HandshakeSeen, handshake } from '../tls/handshake.ts'
import { trustGap } from '../tls/trust-rules.ts'
import type { CertSpec } from './cert-spec.ts'
import { peersOf } from './check-pair.ts'

/** How often a service that restarts is dialled again. */
const AGAIN_MS = 250

/**
 * Dials a service until it presents a certificate that every peer takes.
 *
 * @param spec Where, with whose trust files.
 * @param expected The certificate it must present.
 * @param withinMs For how long.
 * @param signal The caller's.
 * @returns Undefined, or what was wrong the last time.
 */
export async function whyNotServed(
  spec: CertSpec,
  expected: X509Certificate,
  withinMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const until = performance.now() + withinMs
  for (;;) {
    const wrong = await wrongNow(spec, expected)
    if (wrong === undefined || performance.now() >= until || signal.aborted) return wrong
    await sleep(AGAIN_MS)
  }
}

async function wrongNow(spec: CertSpec, expected: X509Certificate): Promise<string | undefined> {
  const address = parseHostPort(spec.handshake ?? '', 0)
  if (address === undefined) return undefined
  const client = clientOf(spec)
  const seen = await handshake({ ...address, client, serverName: spec.dns_names[0], timeoutMs: 3_000 })
  const where = `${spec.handshake}`
  const [leaf] = seen.presented
  if (leaf === undefined) return `${where}: ${seen.failure ?? 'presented nothing'}`
  if (leaf.fingerprint256 !== expected.fingerprint256) {
    return `${where}: presents ${nameInOneLine(leaf.subject)} with serial ${leaf.serialNumber}, expected ${expected.serialNumber}: it has not read the new file`
  }
  // Without a client certificate a service that wants one ends here, which says nothing about its own.
  if (client !== undefined && seen.failure !== undefined) return `${where}: ${seen.failure}`
  return peerThatRefuses(spec, seen)
}

function peerThatRefuses(spec: CertSpec, { presented }: HandshakeSeen): string | undefined {
  for (const { file, rule } of peersOf(spec)) {
    const gap = trustGap(presented, readCertificates(readFileSync(file, 'utf8')).certificates, rule)
    if (gap !== undefined) {
      return `${spec.handshake}: presents ${presented.length} certificates, and a peer that trusts ${file} (${rule}) lacks ${gap.missing}`
    }
  }
  return undefined
}

function clientOf(spec: CertSpec): { readonly cert: string; readonly key: string } | undefined {
  const { handshake_cert_file: certFile, handshake_key_file: keyFile } = spec
  if (certFile === undefined || keyFile === undefined) return undefined
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}
