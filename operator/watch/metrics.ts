/**
 * The daemon's Prometheus metrics.
 *
 * @module
 */

import { attestationAge, enrolledPolicy } from '@tower-of-omens/gate'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Build } from '../context.ts'
import type { RingResult } from './bell.ts'
import { spireView, type WatchedHost } from './hosts.ts'

/** Stages of a cut-off: the reason seen, the last server's answer, the agent seen gone or banned in a list. */
export type CutOffStage = 'noticed' | 'banned' | 'gone'

/** Sources by name. */
export type SourceName = 'verifier' | 'spire' | 'registrar'

/** The metrics. */
export class WatchMetrics {
  readonly registry = new Registry()
  readonly #perHost: boolean
  readonly #hosts = this.#gauge('towerkeep_hosts', 'Hosts by how they stand.', ['state'])
  readonly #state = this.#gauge(
    'towerkeep_host_state',
    "Keylime's operational state of a host; -1 in push mode or unknown.",
    ['agent_id'],
  )
  readonly #age = this.#gauge(
    'towerkeep_host_last_success_age_seconds',
    "Age of a host's last success, by the verifier's own clock.",
    ['agent_id'],
  )
  readonly #attestations = this.#gauge(
    'towerkeep_host_attestations_total',
    'Successful attestations since enrolment.',
    ['agent_id'],
  )
  readonly #strength = this.#gauge(
    'towerkeep_host_policy_strength',
    'How many things are enrolled to be checked: PCRs of the boot, boot log, IMA log.',
    ['agent_id'],
  )
  readonly #svid = this.#gauge('towerkeep_host_svid_remaining_seconds', "Seconds until the SPIRE agent's SVID ends.", [
    'agent_id',
  ])
  readonly #certificate = this.#gauge(
    'towerkeep_certificate_remaining_ratio',
    'Share of life left of a certificate, 0 to 1.',
    ['host', 'use'],
  )
  readonly #cutoffs = new Counter({
    name: 'towerkeep_cutoffs_total',
    help: 'Bans and evictions done.',
    labelNames: ['action', 'reason'],
    registers: [this.registry],
  })
  readonly #seconds = new Histogram({
    name: 'towerkeep_cutoff_seconds',
    help: 'Seconds from the bell or the round that showed the reason to each stage.',
    labelNames: ['stage'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
    registers: [this.registry],
  })
  readonly #bells = new Counter({
    name: 'towerkeep_bells_total',
    help: 'Requests to the bell by what became of them.',
    labelNames: ['result'],
    registers: [this.registry],
  })
  readonly #lag = new Histogram({
    name: 'towerkeep_bell_record_lag_seconds',
    help: 'Seconds from a bell until the record said the same.',
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 65],
    registers: [this.registry],
  })
  readonly #brake = this.#gauge('towerkeep_brake', '1 while evictions for absence wait.', [])
  readonly #pending = this.#gauge('towerkeep_cutoffs_pending', 'Cut-offs that a SPIRE server has not done yet.', [])
  readonly #returned = new Counter({
    name: 'towerkeep_banned_returned_total',
    help: 'Banned agents that were found attested again.',
    registers: [this.registry],
  })
  readonly #sourceUp = this.#gauge('towerkeep_source_up', '1 while a source answers.', ['source'])
  readonly #sourceAge = this.#gauge('towerkeep_source_age_seconds', 'Seconds since a source answered.', ['source'])
  readonly #ready = this.#gauge('towerkeep_ready', '1 while all is watched.', [])
  readonly #build = this.#gauge('towerkeep_build_info', 'Build of towerkeep.', ['version', 'commit'])

  /** @param options `perHost`: whether metrics name each host; `build`: of the program. */
  constructor(options: { readonly perHost: boolean; readonly build: Build }) {
    this.#perHost = options.perHost
    this.#build.set({ ...options.build }, 1)
    collectDefaultMetrics({ register: this.registry, prefix: 'towerkeep_' })
  }

  /** @param result What became of a request to the bell. */
  bell(result: RingResult): void {
    this.#bells.inc({ result })
  }

  /** @param seconds From a bell until the record said the same. */
  lag(seconds: number): void {
    this.#lag.observe(seconds)
  }

  /** Counts a cut-off that was done. */
  cutOff(action: string, reason: string): void {
    this.#cutoffs.inc({ action, reason })
  }

  /** @param stage Which stage; @param seconds since the reason showed. */
  stage(stage: CutOffStage, seconds: number): void {
    this.#seconds.observe({ stage }, seconds)
  }

  /** Counts a banned agent that was found attested again. */
  returned(): void {
    this.#returned.inc()
  }

  /** Sets what changes by itself, just before it is read. */
  refresh(now: WatchNow): void {
    this.#brake.set(now.isBraked ? 1 : 0)
    this.#pending.set(now.pending)
    this.#ready.set(now.isReady ? 1 : 0)
    for (const [source, { isUp, ageSeconds }] of now.sources) {
      this.#sourceUp.set({ source }, isUp ? 1 : 0)
      if (ageSeconds !== undefined) this.#sourceAge.set({ source }, ageSeconds)
    }
    this.#hosts.reset()
    for (const state of ['admitted', 'verdict', 'absent', 'pending']) this.#hosts.set({ state }, 0)
    for (const host of now.hosts) this.#hosts.inc({ state: stateOf(host) })
    if (this.#perHost) this.#refreshHosts(now)
  }

  #refreshHosts({ hosts, certificates, svids }: WatchNow): void {
    for (const gauge of [this.#state, this.#age, this.#attestations, this.#strength, this.#svid, this.#certificate]) {
      gauge.reset()
    }
    for (const { agentId, record } of hosts) {
      const labels = { agent_id: agentId }
      this.#state.set(labels, record?.operationalState ?? -1)
      const left = svids.get(agentId)
      if (left !== undefined) this.#svid.set(labels, left)
      if (record === undefined) continue
      const age = attestationAge(record)
      if (age !== undefined) this.#age.set(labels, age)
      this.#attestations.set(labels, record.attestationCount ?? 0)
      const { bootPcrs, measuredBootEnrolled, runtime } = enrolledPolicy(record).strength
      this.#strength.set(labels, bootPcrs.length + Number(measuredBootEnrolled) + Number(runtime))
    }
    for (const [host, share] of certificates) this.#certificate.set({ host, use: 'keylime-agent' }, share)
  }

  #gauge<const L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }
}

/** What changes by itself. */
export interface WatchNow {
  readonly hosts: readonly WatchedHost[]
  readonly isBraked: boolean
  readonly isReady: boolean
  readonly pending: number
  readonly sources: ReadonlyMap<SourceName, { readonly isUp: boolean; readonly ageSeconds: number | undefined }>
  /** Name of a host to the share of life left of its certificate. */
  readonly certificates: ReadonlyMap<string, number>
  /** Agent ID to seconds until its SVID ends. */
  readonly svids: ReadonlyMap<string, number>
}

/**
 * Names how a host stands, for metrics and page.
 *
 * @param host The host.
 * @returns One word.
 */
export function stateOf(host: WatchedHost): 'admitted' | 'verdict' | 'absent' | 'pending' {
  const { keylime } = host
  if (keylime.cause === 'none') return keylime.isAdmitted ? 'admitted' : 'pending'
  return keylime.cause === 'verdict' ? 'verdict' : 'absent'
}

/**
 * Tells whether SPIRE still gives a host an identity.
 *
 * @param host The host.
 * @returns True while its agent is attested.
 */
export function hasIdentity(host: WatchedHost): boolean {
  return spireView(host) === 'attested'
}
