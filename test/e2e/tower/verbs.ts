/**
 * The operator's verbs on a tower, and what their documents say.
 *
 * @module
 */
import { join } from 'node:path'
import type { CommandResult } from '../../lab/processes/commands.ts'
import { runTowerkeep, runTowerkeepOn } from '../../lab/tower/keeping.ts'
import type { Tower } from '../../lab/tower/tower.ts'

/** One problem that doctor found. */
interface SeenFinding {
  readonly id: string
  readonly severity: string
  readonly because: readonly string[]
  readonly message: string
  readonly subject: string
}

/** What a verb answers with `--output json`. */
export interface VerbDocument {
  readonly exit: number
  readonly summary: Readonly<Record<string, unknown>>
  readonly items: readonly Readonly<Record<string, unknown>>[]
  readonly findings: readonly SeenFinding[]
}

/** The verbs on one tower, all with a journal of its own; functions that can be taken out of it. */
export interface Verbs {
  /** Folder of the journal. */
  readonly journal: () => string
  /** A change made from host spire; a failed one throws. */
  readonly act: (...words: readonly string[]) => Promise<VerbDocument>
  /** A change tried from host spire, which may be refused. */
  readonly attempt: (...words: readonly string[]) => Promise<CommandResult>
  /** A change tried on a host. */
  readonly attemptOn: (host: string, ...words: readonly string[]) => Promise<CommandResult>
  /** A question asked from host spire. */
  readonly read: (...words: readonly string[]) => Promise<VerbDocument>
  /** Root causes seen from host spire, without what is only said for information. */
  readonly doctor: (...words: readonly string[]) => Promise<readonly string[]>
  /** Root causes seen on a host. */
  readonly doctorOn: (host: string, ...words: readonly string[]) => Promise<readonly string[]>
}

/**
 * Parses the document of a verb.
 *
 * @param ran What it printed.
 * @returns The document.
 * @throws {Error} It printed none; the message shows what it printed instead.
 */
export function documentOf({ stdout, stderr }: CommandResult): VerbDocument {
  try {
    return JSON.parse(stdout) as VerbDocument
  } catch {
    throw new Error(`no document: ${stdout.slice(0, 500)} ${stderr.slice(0, 500)}`)
  }
}

/** Collects the IDs of findings that follow from no other, without what is only said for information. */
export function causes({ findings }: VerbDocument): readonly string[] {
  const roots = findings.filter(({ because, severity }) => because.length === 0 && severity !== 'info')
  return [...new Set(roots.map(({ id }) => id))].toSorted()
}

/** Gives the verbs of a tower, which need not stand yet. */
export function verbsOf(tower: () => Tower): Verbs {
  const journal = (): string => join(tower().dir, 'journal')
  const asked = (): readonly string[] => ['--journal', journal(), '--output', 'json']
  const attempt = (...words: readonly string[]) => runTowerkeep(tower(), [...words, '--yes', ...asked()])
  const read = async (...words: readonly string[]) =>
    documentOf(await runTowerkeep(tower(), [...words, '--output', 'json']))
  return {
    journal,
    attempt,
    attemptOn: (host, ...words) => runTowerkeepOn(tower(), host, [...words, '--yes', ...asked()]),
    act: async (...words) => {
      const document = documentOf(await attempt(...words))
      if (document.exit === 2) throw new Error(`${words.join(' ')}: ${JSON.stringify(document.summary)}`)
      return document
    },
    read,
    doctor: async (...words) => causes(await read('doctor', '--journal', journal(), ...words)),
    doctorOn: async (host, ...words) =>
      causes(documentOf(await runTowerkeepOn(tower(), host, ['doctor', ...words, ...asked()]))),
  }
}
