/**
 * Checks of this host's copies of SPIRE's bundle.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { readCertificates } from '@tower-of-omens/keylime/tls-files'
import { type Finding, finding } from '../findings/finding.ts'
import { readIfThere } from '../site/files.ts'
import { valueOf } from '../sources/state.ts'
import type { Check } from './check.ts'
import { unseen, type View } from './view.ts'

/** The checks. */
export const BUNDLE_CHECKS: readonly Check[] = [
  {
    id: 'bundle-file',
    area: 'bundle',
    finds: ['TK-BUNDLE-STALE'],
    needs: 'agent.conf, the bundle file; the SPIRE server for certainty',
    blind: 'without the server: authorities that are alive and were revoked',
    run: fileFindings,
  },
  {
    id: 'bundle-cache',
    area: 'bundle',
    finds: ['TK-BUNDLE-STALE'],
    needs: 'agent-data.json of the SPIRE agent',
    blind: 'agents of other machines',
    run: cacheFindings,
  },
  {
    id: 'bundle-rebootstrap',
    area: 'bundle',
    finds: ['TK-BUNDLE-REBOOTSTRAP'],
    needs: 'agent.conf',
    blind: 'nothing',
    run: ({ site }) => {
      const mode = site.spireAgent?.text('agent', 'rebootstrap_mode')
      if (site.spireAgent === undefined || (mode !== undefined && mode.value !== 'never')) return []
      const message =
        mode === undefined ? 'rebootstrap_mode is not set, its default is never' : 'rebootstrap_mode is never'
      return [finding('TK-BUNDLE-REBOOTSTRAP', { subject: mode?.from ?? site.spireAgent.file, message })]
    },
  },
]

function fileFindings(view: View): readonly Finding[] {
  const path = view.site.spireAgent?.text('agent', 'trust_bundle_path')
  if (path === undefined) return []
  const read = readIfThere(path.value)
  if (read === undefined)
    return [finding('TK-BUNDLE-STALE', { subject: path.value, message: `does not exist; ${path.from} names it` })]
  if ('problem' in read) return [unseen(path.value, read.problem.message)]
  return staleFindings(path.value, readCertificates(read.text).certificates, view)
}

function cacheFindings(view: View): readonly Finding[] {
  const folder = view.site.spireAgent?.text('agent', 'data_dir')
  if (folder === undefined) return []
  const file = join(folder.value, 'agent-data.json')
  const read = readIfThere(file)
  if (read === undefined) return []
  if ('problem' in read) return [unseen(file, read.problem.message)]
  const certificates = cachedBundle(read.text)
  return certificates === undefined ? [] : staleFindings(file, certificates, view)
}

// SPIRE keeps the bundle as a list of base64 PEM texts, or DER.
function cachedBundle(text: string): readonly X509Certificate[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const list = typeof value === 'object' && value !== null && 'bundle' in value ? value.bundle : undefined
    if (!Array.isArray(list)) return undefined
    return list.filter((one) => typeof one === 'string').map((one) => new X509Certificate(Buffer.from(one, 'base64')))
  } catch {
    return undefined
  }
}

function staleFindings(file: string, certificates: readonly X509Certificate[], view: View): readonly Finding[] {
  const alive = certificates.filter((one) => one.validToDate.getTime() > view.now)
  const stale = (message: string): readonly Finding[] => [
    finding('TK-BUNDLE-STALE', {
      subject: file,
      message,
      evidence: { authorities: certificates.length, alive: alive.length },
    }),
  ]
  if (alive.length === 0) return stale(`all ${certificates.length} authorities in it have ended`)
  const bundle = valueOf(view.bundle)
  if (bundle === undefined) return []
  const inForce = new Set(
    bundle.authorities.filter(({ tainted }) => !tainted).map(({ certificate }) => certificate.fingerprint256),
  )
  return alive.some((one) => inForce.has(one.fingerprint256))
    ? []
    : stale("none of its authorities is in the server's bundle any more")
}
