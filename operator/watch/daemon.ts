/**
 * The daemon: loops that ask, the heart that decides, hands that act, and what is told of it.
 *
 * @module
 */

import { dirname } from 'node:path'
import type { AgentId, Log } from '@tower-of-omens/keylime'
import type { Build } from '../context.ts'
import { type Finding, finding } from '../findings/finding.ts'
import { agentPrefix, type Fleet, gatherFleet } from '../fleet.ts'
import { pause } from '../pause.ts'
import { DEFAULT_BUDGET_S, retryBudgetSeconds } from '../site/retry-budget.ts'
import { presentedCertificate } from '../sources/certificates.ts'
import type { OpenSources } from '../sources/open.ts'
import { settled } from '../sources/state.ts'
import { Asking, type WatchSources } from './asking.ts'
import { Deeds } from './deeds.ts'
import { writeHostNames } from './host-names.ts'
import { spireView } from './hosts.ts'
import { Looks } from './looks.ts'
import { hasIdentity, WatchMetrics, type WatchNow } from './metrics.ts'
import { Recovery } from './recovery.ts'
import type { WatchSettings } from './settings.ts'
import { SourceBook } from './sources.ts'
import { Telling } from './telling.ts'
import { Watcher, type WatcherRules } from './watcher.ts'

/** What a daemon is made of. */
export interface DaemonParts {
  readonly settings: WatchSettings
  readonly sources: WatchSources
  readonly build: Build
  readonly log: Log
  /** Aborts when the daemon is to end. */
  readonly signal: AbortSignal
  /** Called when something changed that the page shows. */
  readonly changed: () => void
  /** Has the verifier begin anew with a host; undefined: recovery is off, and nothing here could do it. */
  readonly reactivate?: ((agentId: AgentId) => Promise<void>) | undefined
}

/** Time between two lists of SPIRE's agents. */
const SPIRE_EVERY_MS = 5_000
/** Time between two looks at everything else: registrar, certificates. */
const FLEET_EVERY_MS = 60_000
/** A verifier that is away for longer makes the daemon unready. */
const UNREADY_AFTER_S = 60
/** Longest handshake with a host that may be brought back. */
const HANDSHAKE_MS = 3_000

/** A running daemon, without its servers. */
export class Daemon {
  readonly metrics: WatchMetrics
  readonly watcher: Watcher
  readonly looks: Looks
  readonly deeds: Deeds
  readonly #parts: DaemonParts
  readonly #book: SourceBook
  readonly #asking: Asking
  readonly #telling: Telling
  readonly #recovery: Recovery | undefined
  #settings: WatchSettings
  #fleet: Fleet | undefined

  /** @param parts What it is made of. */
  constructor(parts: DaemonParts) {
    this.#parts = parts
    const { settings, sources, log, build } = parts
    this.#settings = settings
    const prefix = agentPrefix(sources)
    const { audit_file: auditFile } = settings.values
    this.#telling = new Telling(log, auditFile, prefix, () => this.#settings.values.notify_command)
    this.metrics = new WatchMetrics({ perHost: settings.values.per_host_metrics, build })
    this.#book = new SourceBook(['verifier', 'spire', 'registrar'], (source, { isUp, failure }) => {
      if (isUp) log.info('a source answers', { source })
      else log.error('a source does not answer', { source, error: failure ?? '' })
      this.#telling.whole(isUp ? 'source_up' : 'source_down', { source, message: failure ?? '' })
      parts.changed()
    })
    this.watcher = new Watcher(watcherRules(settings, sources), {
      decided: (decision) => this.deeds.decided(decision),
      braked: (isOn, absent, hosts) => this.#braked(isOn, absent, hosts),
      lifted: ({ agentId }) => this.#telling.host('lifted', agentId, { outcome: 'the gate admits it again' }),
    })
    this.#asking = new Asking(sources, this.watcher, this.#book, parts.signal)
    const sleep = (ms: number): Promise<boolean> => pause(ms, parts.signal)
    this.deeds = new Deeds({
      spire: sources.spire,
      prefix,
      watcher: this.watcher,
      metrics: this.metrics,
      telling: this.#telling,
      log,
      isRefused: (agentId) => this.#asking.isRefused(agentId),
      sleep,
      changed: parts.changed,
    })
    this.#recovery = parts.reactivate === undefined ? undefined : this.#newRecovery(parts.reactivate, sleep)
    this.looks = new Looks({
      read: (agentId) => this.#asking.readOne(agentId),
      judge: (agentId, record) => this.watcher.looked(agentId, record),
      sleep,
      ended: (agentId, how, ms) => {
        if (how === 'cut') this.metrics.lag(ms / 1000)
        log.debug('a look ended', { agent_id: agentId, how, ms: Math.round(ms) })
      },
    })
  }

  /** Whether everything is watched. */
  get isReady(): boolean {
    const age = this.#book.all.find(({ name }) => name === 'verifier')?.age ?? Number.POSITIVE_INFINITY
    return this.#asking.hasAll && age < UNREADY_AFTER_S
  }

  /** What may be done. */
  get settings(): WatchSettings {
    return this.#settings
  }

  /** The sources and how they are. */
  get sources(): SourceBook['all'] {
    return this.#book.all
  }

  /** Everything as it was asked last; asked at least once a minute. */
  get fleet(): Fleet | undefined {
    return this.#fleet
  }

  /** Runs until the signal aborts. */
  async run(): Promise<void> {
    // First what SPIRE has, then the records: then the first round finds everything there is to act on.
    await this.#listSpire()
    await this.#round()
    if (this.isReady) this.#parts.log.info('all is watched', { hosts: this.watcher.hosts.all.length })
    await Promise.all([
      this.#every(
        () => this.#settings.values.poll,
        () => this.#round(),
      ),
      this.#every(
        () => SPIRE_EVERY_MS,
        () => this.#listSpire(),
      ),
      this.#everyFleet(),
    ])
  }

  /**
   * Takes new settings; addresses stay as they are.
   *
   * @param settings The settings.
   * @param sources Where the plugin's rules stand.
   */
  reload(settings: WatchSettings, sources: Pick<OpenSources, 'services'>): void {
    this.#settings = settings
    this.watcher.setRules(watcherRules(settings, sources))
    this.deeds.sayAnew()
  }

  /** Tells whether an agent has anything to lose, before a ring is taken. */
  isWatched(agentId: AgentId): boolean {
    const host = this.watcher.hosts.find(agentId)
    // One that SPIRE does not have may have attested since it was asked.
    return host !== undefined && spireView(host) !== 'banned'
  }

  // What is wrong with the watching itself.
  findings(): readonly Finding[] {
    const mode = this.watcher.mode
    const found: Finding[] = []
    if (mode === 'observe') {
      found.push(finding('TK-WATCH-OBSERVE', { subject: 'watch', message: 'nothing is done, only said' }))
    }
    if (this.watcher.isBraked) {
      found.push(
        finding('TK-WATCH-BRAKE', { subject: 'watch', message: 'many hosts went absent at once: none is evicted' }),
      )
    }
    return [...found, ...this.deeds.findings]
  }

  /** Sets the metrics that change by themselves. */
  refreshMetrics(): void {
    const now: WatchNow = {
      hosts: this.watcher.hosts.all,
      isBraked: this.watcher.isBraked,
      isReady: this.isReady,
      pending: this.deeds.pending,
      sources: new Map(this.#book.all.map(({ name, isUp, age }) => [name, { isUp, ageSeconds: age }])),
      certificates: new Map(
        (this.#fleet?.hosts ?? []).flatMap(({ name, certificate }) =>
          'value' in certificate ? [[name, Math.max(0, certificate.value.leftShare)] as const] : [],
        ),
      ),
      svids: this.#asking.svids,
    }
    this.metrics.refresh(now)
  }

  /** Asks every source about everything, for page and status. */
  async lookAtAll(): Promise<Fleet> {
    const fleet = await gatherFleet(this.#parts.sources, this.#parts.signal)
    this.#book.heard('registrar', fleet.failed.registrar)
    this.#fleet = fleet
    return fleet
  }

  async #round(): Promise<void> {
    await this.#asking.round()
    this.deeds.forgetHealed()
    this.#parts.changed()
    if (this.watcher.mode !== 'observe') void this.#recovery?.consider(this.watcher.hosts.all)
  }

  #newRecovery(reactivate: (agentId: AgentId) => Promise<void>, sleep: (ms: number) => Promise<boolean>): Recovery {
    const { sources, log, signal } = this.#parts
    return new Recovery({
      reactivate,
      certificateOf: ({ ip: host, port }) =>
        host === undefined || port === undefined
          ? Promise.resolve({ failed: 'no address is known' })
          : settled(presentedCertificate({ host, port }, { timeoutMs: HANDSHAKE_MS, signal, now: Date.now() })),
      budgetSeconds: retryBudgetSeconds(sources.site.verifier) ?? DEFAULT_BUDGET_S,
      telling: this.#telling,
      log,
      sleep,
    })
  }

  /** Lists SPIRE's agents; a host that attested after its bell rang gets its record read again. */
  async #listSpire(): Promise<void> {
    await this.#asking.listSpire()
    for (const host of this.watcher.hosts.all) {
      if (hasIdentity(host) && host.keylime.cause === 'verdict') this.looks.begin(host.agentId)
    }
  }

  async #every(period: () => number, work: () => Promise<void>): Promise<void> {
    while (await pause(period(), this.#parts.signal)) await work()
  }

  async #everyFleet(): Promise<void> {
    do {
      const fleet = await this.lookAtAll().catch(() => undefined)
      if (fleet !== undefined) writeHostNames(dirname(this.#settings.values.read_socket), fleet)
      this.#parts.changed()
    } while (await pause(FLEET_EVERY_MS, this.#parts.signal))
  }

  #braked(isOn: boolean, absent: number, hosts: number): void {
    const message = `${absent} of ${hosts} hosts are absent`
    this.#parts.log.error(isOn ? 'the brake is on: no host is evicted for absence' : 'the brake is off', {
      absent,
      hosts,
    })
    this.#telling.whole(isOn ? 'brake_on' : 'brake_off', { message })
    this.#parts.changed()
  }
}

function watcherRules({ mode, values }: WatchSettings, { services }: Pick<OpenSources, 'services'>): WatcherRules {
  return {
    mode,
    massVerdicts: values.mass_verdicts,
    brake: { percent: values.brake_percent, hosts: values.brake_hosts },
    plugin: services.plugin.value,
  }
}
