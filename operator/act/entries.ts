/**
 * Registration entries that are moved or made.
 *
 * @module
 */
import {
  createEntries,
  deleteEntries,
  type EntryResult,
  type EntrySpec,
  listEntries,
  reparentEntries,
  type SpireConnection,
  type SpireSelector,
} from '@tower-of-omens/spire-api'
import { OperatorError } from '../operator-error.ts'
import type { Step } from '../plan/step.ts'

/** gRPC status of an entry that is there already. */
const ALREADY_EXISTS = 6

/**
 * Plans the move of every entry under one parent to another.
 *
 * @param connection The server.
 * @param from SPIFFE ID of the present parent.
 * @param to SPIFFE ID of the next one.
 * @returns The step; it is taken back by moving them again.
 */
export function reparentStep(connection: SpireConnection, from: string, to: string): Step {
  const moved: string[] = []
  return {
    id: 'reparent',
    title: `move the entries under ${from} to ${to}`,
    isDone: async (signal) => (await listEntries(connection, { parentId: from, signal })).length === 0,
    act: async (signal) => {
      const entries = await listEntries(connection, { parentId: from, signal })
      const ids = entries.map(({ id }) => id)
      const results = await reparentEntries(connection, ids, to, { signal })
      // Each succeeds or fails alone; those that moved go back when one did not.
      moved.push(...ids.filter((_, at) => results[at]?.code === 0))
      requireAll(results)
      return { entries: ids.length, ids: ids.slice(0, 20).join(' ') }
    },
    verify: async (signal) => {
      const left = await listEntries(connection, { parentId: from, signal })
      if (left.length > 0) throw new Error(`${left.length} entries are still under ${from}`)
    },
    undo: async () => {
      if (moved.length > 0) requireAll(await reparentEntries(connection, moved, from))
    },
  }
}

/** A blank entry with SPIRE's defaults. */
export const BLANK_ENTRY: EntrySpec = {
  spiffeId: '',
  parentId: '',
  selectors: [],
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  hint: '',
  admin: false,
  downstream: false,
  storeSvid: false,
  dnsNames: [],
  federatesWith: [],
  expiresAt: 0,
}

/**
 * Plans the making of an entry; one like it that is there counts as made.
 *
 * @param connection The server.
 * @param spec What it says.
 * @param title What it is for.
 * @returns The step; it is taken back by deleting the entry.
 */
export function createStep(connection: SpireConnection, spec: EntrySpec, title: string): Step {
  let made: string | undefined
  return {
    id: `entry-${spec.spiffeId}`,
    title,
    isDone: async (signal) =>
      (await listEntries(connection, { parentId: spec.parentId, signal })).some((one) => isLike(one, spec)),
    act: async (signal) => {
      const results = await createEntries(connection, [spec], { signal })
      requireAll(results)
      made = results[0]?.code === 0 ? results[0].id : undefined
      return { entry: results[0]?.id ?? '' }
    },
    undo: async () => {
      if (made !== undefined) await deleteEntries(connection, [made])
    },
  }
}

function isLike(one: EntrySpec, spec: EntrySpec): boolean {
  return one.spiffeId === spec.spiffeId && selectorsOf(one) === selectorsOf(spec)
}

function selectorsOf({ selectors }: EntrySpec): string {
  return selectors
    .map(({ type, value }) => `${type}:${value}`)
    .toSorted()
    .join('\n')
}

function requireAll(results: readonly EntryResult[]): void {
  const failed = results.find(({ code }) => code !== 0 && code !== ALREADY_EXISTS)
  if (failed !== undefined) throw new Error(`an entry was refused (status ${failed.code}): ${failed.message}`)
}

/**
 * Reads a selector as SPIRE's command line writes it.
 *
 * @param text Such as `unix:uid:1000`.
 * @returns Its two parts.
 * @throws {OperatorError} `TK-USAGE`: it has no colon.
 */
export function parseSelector(text: string): SpireSelector {
  const at = text.indexOf(':')
  if (at < 1 || at === text.length - 1)
    throw new OperatorError('TK-USAGE', `selector ${text}: expected type:value, such as unix:uid:1000`)
  return { type: text.slice(0, at), value: text.slice(at + 1) }
}
