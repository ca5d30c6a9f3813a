/**
 * Findings: what is wrong, with what, how it shows, and what to do.
 *
 * @module
 */
import { entryOf, type FindingId } from './catalogue.ts'

/** How bad it is; `unknown` is what could not be checked. */
export type Severity = 'ok' | 'info' | 'warn' | 'crit' | 'unknown'

/** One finding. */
export interface Finding {
  /** Permanent: its meaning never changes. */
  readonly id: FindingId
  readonly severity: Severity
  /** Name of the host it is about; null when it is about a service or the whole. */
  readonly host: string | null
  /** The file, certificate, service or agent. */
  readonly subject: string
  /** One line, lower case, no final period. */
  readonly message: string
  /** Numbers, paths and names that show it; never a secret. */
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
  readonly fix: Fix
  /** Findings that this one follows from. */
  readonly because: readonly string[]
  /** Page that says more. */
  readonly doc: string
  /** Incidents of operators that it would have named. */
  readonly incidents: readonly string[]
}

/** What to do about a finding. */
export interface Fix {
  /** A command that can be pasted. */
  readonly command?: string
  readonly text: string
}

/** What is particular to one finding. */
export interface FindingFacts {
  readonly host?: string | null
  readonly subject: string
  readonly message: string
  readonly evidence?: Finding['evidence']
  /** Instead of the catalogue's. */
  readonly severity?: Severity
  readonly command?: string
  readonly because?: readonly string[]
}

/**
 * Makes a finding; severity, next step and page come from the catalogue.
 *
 * @param id Which.
 * @param facts What is particular.
 * @returns The finding.
 */
export function finding(id: FindingId, facts: FindingFacts): Finding {
  const entry = entryOf(id)
  return {
    id,
    severity: facts.severity ?? entry.severity,
    host: facts.host ?? null,
    subject: facts.subject,
    message: facts.message,
    evidence: facts.evidence ?? {},
    fix: { ...(facts.command !== undefined && { command: facts.command }), text: entry.next },
    because: facts.because ?? [],
    doc: `docs/findings.md#${id.toLowerCase()}`,
    incidents: entry.incidents,
  }
}

const RANKS: Readonly<Record<Severity, number>> = { crit: 0, unknown: 1, warn: 2, info: 3, ok: 4 }

/**
 * Sorts findings: causes before what follows from them, then the worst first.
 *
 * @param findings In any order.
 * @returns A new list.
 */
export function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted(
    (a, b) =>
      Number(a.because.length > 0) - Number(b.because.length > 0) ||
      RANKS[a.severity] - RANKS[b.severity] ||
      (a.host ?? '').localeCompare(b.host ?? '') ||
      a.id.localeCompare(b.id),
  )
}

/**
 * Counts findings.
 *
 * @param findings The findings.
 * @returns How many there are of each severity, without those that follow from others, and those apart.
 */
export function countFindings(findings: readonly Finding[]): Readonly<Record<Severity | 'follow', number>> {
  const counts = { ok: 0, info: 0, warn: 0, crit: 0, unknown: 0, follow: 0 }
  for (const { severity, because } of findings) counts[because.length > 0 ? 'follow' : severity] += 1
  return counts
}
