/**
 * What the daemon answers, by path.
 *
 * @module
 */
import { createHash, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { evictAgent } from '@tower-of-omens/spire-api'
import type { Build } from '../context.ts'
import { type ExplainSources, explainHosts } from '../explain/explaining.ts'
import { hostsMeant } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { envelopeOf, errorEnvelope, type Report, readExit } from '../report.ts'
import { REFUSED_STATUS } from '../sources/daemon.ts'
import { settled } from '../sources/state.ts'
import { type StatusReport, statusReport } from '../status/report.ts'
import type { Daemon } from './daemon.ts'
import type { FleetLooks } from './fleet-looks.ts'
import { isBanned } from './hosts.ts'
import { hasIdentity } from './metrics.ts'
import { fragmentOf, PAGE_POLICY, PAGE_SCRIPT, PAGE_STYLE, type PageFacts, pageOf } from './page.ts'
import type { Routes, Served } from './serve.ts'

/** What the routes need. */
export interface RouteParts {
  readonly daemon: Daemon
  readonly looks: FleetLooks
  readonly build: Build
  readonly sources: ExplainSources
  /** Aborts when the daemon is to end. */
  readonly signal: AbortSignal
  /** Key that signs the list of those who are cut off; undefined: it is not signed. */
  readonly keyFile: string | undefined
}

/** How old what the page shows may be: many may look at it. */
const PAGE_MS = 2_000
/** How old what a person is told may be: what he did before he asked is in it. */
const PERSON_MS = 0

/**
 * Makes the routes of page, metrics and health.
 *
 * @param parts What they need.
 * @returns The routes.
 */
export function httpRoutes(parts: RouteParts): Routes {
  const { daemon } = parts
  const facts = async (): Promise<PageFacts> => pageFacts(daemon, await statusOf(parts, PAGE_MS))
  return {
    'GET /': async () => html(pageOf(await facts())),
    'GET /fragment': async () => html(fragmentOf(await facts())),
    'GET /page.css': () => ({ status: 200, type: 'text/css', body: PAGE_STYLE }),
    'GET /page.js': () => ({ status: 200, type: 'text/javascript', body: PAGE_SCRIPT }),
    'GET /status.json': async () => document(await statusOf(parts, PAGE_MS), parts),
    'GET /denied.json': () => denied(parts),
    'GET /metrics': async () => {
      daemon.refreshMetrics()
      return { status: 200, type: daemon.metrics.registry.contentType, body: await daemon.metrics.registry.metrics() }
    },
    'GET /live': () => ({ status: 200, type: 'text/plain', body: 'ok\n' }),
    'GET /ready': () =>
      daemon.isReady
        ? { status: 200, type: 'text/plain', body: 'ok\n' }
        : { status: 503, type: 'text/plain', body: 'not ready\n' },
  }
}

/**
 * Makes the routes of the socket that answers questions.
 *
 * @param parts What they need.
 * @returns The routes.
 */
export function readRoutes(parts: RouteParts): Routes {
  return {
    'GET /status': (query) =>
      answered(parts, async () => {
        const maxAge = Number(query.get('max_age_ms') ?? Number.NaN)
        const words = query.getAll('host')
        const question = { words, failOn: failOnOf(query), ...(Number.isFinite(maxAge) && { maxAgeMs: maxAge }) }
        return statusOf(parts, PERSON_MS, question)
      }),
    'GET /explain': (query) =>
      answered(parts, async () => {
        const { at, fleet } = await parts.looks.atMost(PERSON_MS)
        const question = { word: query.get('word') ?? '', failOn: failOnOf(query), signal: parts.signal }
        return { at, report: await explainHosts(parts.sources, fleet, { ...question, now: at.getTime() }) }
      }),
  }
}

function failOnOf(query: URLSearchParams): 'warn' | 'crit' {
  return query.get('fail_on') === 'crit' ? 'crit' : 'warn'
}

// What is wrong with a question is an answer too: the one who asked has no keys to find out.
async function answered(parts: RouteParts, ask: () => Promise<DatedReport>): Promise<Served> {
  try {
    return document(await ask(), parts)
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    return json(REFUSED_STATUS, errorEnvelope(error, { ...parts.build, at: new Date(), seconds: 0 }))
  }
}

/**
 * Makes the routes of the socket that takes orders.
 *
 * @param parts What they need.
 * @returns The routes.
 */
export function adminRoutes({ daemon, sources: { spire } }: RouteParts): Routes {
  const found = async (query: URLSearchParams) => {
    const fleet = daemon.fleet ?? (await daemon.lookAtAll())
    const [host, ...others] = hostsMeant(fleet.hosts, query.get('host') ?? '')
    return host !== undefined && others.length === 0
      ? { host, watched: daemon.watcher.hosts.know(host.agentId) }
      : undefined
  }
  return {
    'POST /revoke': async (query, body) => {
      const target = await found(query)
      if (target === undefined) return json(404, { error: 'no host of that name, or several: give its whole agent ID' })
      const about = { agent_id: target.host.agentId, spiffe_id: target.host.spiffeId }
      const outcome = await daemon.deeds.revoke(target.watched, body.trim() || 'no reason given')
      if (outcome === 'banned') return json(200, about)
      if (outcome === 'pending') return json(202, { ...about, pending: true })
      const error = `no SPIRE server knows ${about.spiffe_id}: it has no identity to take away, and cannot be banned before it attests`
      return json(409, { error })
    },
    'POST /restore': async (query) => {
      const target = await found(query)
      if (target === undefined) return json(404, { error: 'no host of that name, or several: give its whole agent ID' })
      const { watched, host } = target
      const why = whyNotRestore(watched)
      if (why !== undefined) return json(409, { error: why })
      const { latch } = watched
      watched.latch = undefined
      const answers = await Promise.all(spire.map((server) => settled(evictAgent(server, host.spiffeId))))
      const failures = answers.flatMap((answer) => ('failed' in answer ? [answer.failed] : []))
      if (failures.length > 0) {
        watched.latch = latch
        return json(502, { error: `the ban is not lifted everywhere: ${failures.join('; ')}` })
      }
      daemon.deeds.restored(host.agentId)
      return json(200, { agent_id: host.agentId, spiffe_id: host.spiffeId })
    },
  }
}

// A ban is lifted only for a success that the gate admits and that is newer than the ban.
function whyNotRestore({ keylime, record, latch }: ReturnType<Daemon['watcher']['hosts']['know']>): string | undefined {
  if (keylime.cause !== 'none') return `${keylime.message} [${keylime.code}]`
  if (!keylime.isAdmitted) return 'the gate does not admit it yet'
  const last = record?.lastSuccessfulAttestation ?? 0
  return latch !== undefined && last <= latch.since ? 'its last success is older than the ban' : undefined
}

interface StatusQuestion {
  readonly words: readonly string[]
  readonly maxAgeMs?: number
  readonly failOn?: 'warn' | 'crit'
}

/** A report, and when its look ended: what it says is of that moment. */
interface DatedReport<R extends Report = Report> {
  readonly report: R
  readonly at: Date
}

async function statusOf(
  { daemon, looks }: RouteParts,
  ageMs: number,
  question: StatusQuestion = { words: [] },
): Promise<DatedReport<StatusReport>> {
  const { at, fleet } = await looks.atMost(ageMs)
  const report = statusReport(fleet, question, at.getTime(), 0)
  const findings = [...report.findings, ...daemon.findings()]
  return { report: { ...report, findings, exit: readExit(findings, question.failOn) }, at }
}

function pageFacts(daemon: Daemon, { report, at }: DatedReport<StatusReport>): PageFacts {
  return {
    at: at.toISOString().replace(/\.\d+Z$/, 'Z'),
    mode: daemon.watcher.mode,
    isReady: daemon.isReady,
    isBraked: daemon.watcher.isBraked,
    rows: report.items,
    findings: report.findings,
    decisions: daemon.watcher.hosts.decisions,
    sources: daemon.sources,
  }
}

function document({ report, at }: DatedReport, { build }: RouteParts): Served {
  return json(200, envelopeOf(report, { ...build, at, seconds: 0 }))
}

// For peers that want to refuse a host before its SVIDs end: who is cut off, and since when.
function denied({ daemon, keyFile }: RouteParts): Served {
  const hosts = new Map((daemon.fleet?.hosts ?? []).map((host) => [host.agentId, host]))
  const list = daemon.watcher.hosts.all
    .filter(
      (host) => host.latch !== undefined || isBanned(host) || (host.keylime.cause !== 'none' && !hasIdentity(host)),
    )
    .map(({ agentId, latch, keylime, record }) => ({
      agent_id: agentId,
      spiffe_id: hosts.get(agentId)?.spiffeId ?? null,
      address: record?.ip ?? null,
      since: latch === undefined ? null : new Date(latch.since * 1000).toISOString(),
      reason: keylime.cause === 'none' ? (latch?.reason ?? 'banned') : keylime.code,
    }))
    .toSorted((a, b) => a.agent_id.localeCompare(b.agent_id))
  const body = `${JSON.stringify({ schema: 'towerkeep/denied/v1', denied: list }, null, 2)}\n`
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`
  const signature = keyFile === undefined ? {} : { 'towerkeep-signature': signed(body, keyFile) }
  return { status: 200, type: 'application/json', body, headers: { etag, ...signature } }
}

function signed(body: string, keyFile: string): string {
  return sign('sha256', Buffer.from(body), readFileSync(keyFile)).toString('base64')
}

function html(body: string): Served {
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    body,
    headers: { 'content-security-policy': PAGE_POLICY, 'referrer-policy': 'no-referrer', 'x-frame-options': 'DENY' },
  }
}

function json(status: number, value: object): Served {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` }
}
