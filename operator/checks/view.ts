/**
 * Everything that checks look at, gathered once.
 *
 * @module
 */
import { getBundle, listEntries, type SpireBundle, type SpireEntry } from '@tower-of-omens/spire-api'
import { type Finding, finding } from '../findings/finding.ts'
import { type Fleet, gatherFleet } from '../fleet.ts'
import { readUnits, type UnitFiles } from '../node/units.ts'
import { type JournalEntry, readJournal } from '../plan/journal.ts'
import type { OpenSources } from '../sources/open.ts'
import { type Answer, settled } from '../sources/state.ts'
import { type TlsUses, tlsUsesOf } from './tls-uses.ts'

/** What checks are given. */
export interface View extends OpenSources {
  readonly fleet: Fleet
  readonly entries: Answer<readonly SpireEntry[]>
  readonly bundle: Answer<SpireBundle>
  /** Certificates and trust files of this machine's services. */
  readonly tls: TlsUses
  readonly units: UnitFiles
  readonly journal: readonly JournalEntry[]
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Prefix of every usual path; empty outside tests. */
  readonly root: string
  readonly procFolder: string
  readonly certsFolder: string
  readonly devIdsFolder: string
  /** For one question of a check: half of the check's own, so that who hangs leaves it time for the others' findings. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Where to look. */
export interface ViewPlace {
  readonly root?: string
  readonly procFolder?: string
  readonly journalFolder: string
  readonly certsFolder: string
  readonly devIdsFolder: string
  readonly timeoutMs: number
}

/**
 * Gathers the view.
 *
 * @param sources What to ask.
 * @param place Where to look.
 * @param signal Ends the questions.
 * @param now Milliseconds since the epoch.
 * @returns The view; what could not be asked is missing with its reason.
 */
export async function gatherView(
  sources: OpenSources,
  place: ViewPlace,
  signal: AbortSignal,
  now = Date.now(),
): Promise<View> {
  const [server] = sources.spire
  const fromServer = <T>(ask: (connection: NonNullable<typeof server>) => Promise<T>): Promise<Answer<T>> =>
    server === undefined ? Promise.resolve({ failed: 'no SPIRE server is known' }) : settled(ask(server))
  const [fleet, entries, bundle] = await Promise.all([
    gatherFleet(sources, signal, now),
    fromServer((connection) => listEntries(connection, { signal })),
    fromServer((connection) => getBundle(connection, { signal })),
  ])
  const { root = '', procFolder = '/proc' } = place
  return {
    ...sources,
    fleet,
    entries,
    bundle,
    tls: tlsUsesOf(sources.site, sources.services),
    units: readUnits(root),
    journal: readJournal(place.journalFolder),
    now,
    root,
    procFolder,
    certsFolder: place.certsFolder,
    devIdsFolder: place.devIdsFolder,
    timeoutMs: place.timeoutMs / 2,
    signal,
  }
}

/**
 * Says that something could not be looked at: that is neither good nor bad.
 *
 * @param subject What.
 * @param why Why not.
 * @returns The finding.
 */
export function unseen(subject: string, why: string): Finding {
  return finding('TK-DOC-UNSEEN', { subject, message: why })
}
