/**
 * The registration entries of a SPIRE server: read, make, change, delete.
 *
 * @module
 */
import { type SpireSelector, selectorOf } from './agents.ts'
import type { SpireCallOptions, SpireConnection } from './connection.ts'
import { SpireApiError } from './errors.ts'
import { EntryService } from './gen/spire/api/server/entry/v1/entry.ts'
import type { Entry } from './gen/spire/api/types/entry.ts'
import type { Status } from './gen/spire/api/types/status.ts'
import { PAGE_SIZE, readPages } from './pages.ts'
import { requireSpiffeId, spiffeIdText } from './spiffe-ids.ts'

/** What an entry says; times in seconds, 0 for the server's default. */
export interface EntrySpec {
  readonly spiffeId: string
  readonly parentId: string
  readonly selectors: readonly SpireSelector[]
  readonly x509SvidTtl: number
  readonly jwtSvidTtl: number
  readonly hint: string
  readonly admin: boolean
  readonly downstream: boolean
  readonly storeSvid: boolean
  readonly dnsNames: readonly string[]
  readonly federatesWith: readonly string[]
  /** Seconds since the epoch; 0 is never. */
  readonly expiresAt: number
}

/** One entry as the server has it. */
export interface SpireEntry extends EntrySpec {
  readonly id: string
  readonly revision: number
  /** Seconds since the epoch; 0 where the server does not say. */
  readonly createdAt: number
}

/** How one item of a batch went. */
export interface EntryResult {
  /** A gRPC status code; 0 is success, 6 that a like entry is there. */
  readonly code: number
  readonly message: string
  /** Of the entry made, changed, deleted or found; empty when there is none. */
  readonly id: string
}

/**
 * Lists entries.
 *
 * @param connection The server.
 * @param options `parentId`: only those under one parent; `signal`: the caller's.
 * @returns All of them.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export function listEntries(
  connection: SpireConnection,
  options: SpireCallOptions & { readonly parentId?: string } = {},
): Promise<readonly SpireEntry[]> {
  const filter =
    options.parentId === undefined
      ? undefined
      : {
          bySpiffeId: undefined,
          byParentId: requireSpiffeId(options.parentId),
          bySelectors: undefined,
          byHint: undefined,
          byDownstream: undefined,
        }
  return readPages(connection.name, 'entries', async (pageToken) => {
    const request = { filter, outputMask: undefined, pageSize: PAGE_SIZE, pageToken }
    const page = await connection.call(EntryService.listEntries, request, '', options)
    return { items: page.entries.map(entryOf), nextPageToken: page.nextPageToken }
  })
}

/**
 * Makes entries; each succeeds or fails alone.
 *
 * @param connection The server.
 * @param specs What they say.
 * @param options `signal`: the caller's.
 * @returns How each went, in order.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function createEntries(
  connection: SpireConnection,
  specs: readonly EntrySpec[],
  options: SpireCallOptions = {},
): Promise<readonly EntryResult[]> {
  const request = { entries: specs.map((spec) => messageOf(spec, '')), outputMask: undefined }
  const { results } = await connection.call(EntryService.batchCreateEntry, request, '', options)
  return inOrder(
    connection,
    specs.length,
    results.map(({ status, entry }) => resultOf(status, entry?.id)),
  )
}

/**
 * Moves entries under another parent; nothing else of them changes.
 *
 * @param connection The server.
 * @param ids Which entries.
 * @param parentId SPIFFE ID of the new parent.
 * @param options `signal`: the caller's.
 * @returns How each went, in order.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function reparentEntries(
  connection: SpireConnection,
  ids: readonly string[],
  parentId: string,
  options: SpireCallOptions = {},
): Promise<readonly EntryResult[]> {
  const request = {
    entries: ids.map((id) => messageOf({ ...BLANK, parentId }, id)),
    inputMask: { ...NO_FIELD, parentId: true },
    outputMask: undefined,
  }
  const { results } = await connection.call(EntryService.batchUpdateEntry, request, '', options)
  return inOrder(
    connection,
    ids.length,
    results.map(({ status, entry }) => resultOf(status, entry?.id)),
  )
}

/**
 * Deletes entries; each succeeds or fails alone.
 *
 * @param connection The server.
 * @param ids Which.
 * @param options `signal`: the caller's.
 * @returns How each went, in order.
 * @throws {SpireApiError} As {@link SpireConnection.call}; `SPIRE_BAD_ANSWER`.
 */
export async function deleteEntries(
  connection: SpireConnection,
  ids: readonly string[],
  options: SpireCallOptions = {},
): Promise<readonly EntryResult[]> {
  const { results } = await connection.call(EntryService.batchDeleteEntry, { ids: [...ids] }, '', options)
  return inOrder(
    connection,
    ids.length,
    results.map(({ status, id }) => resultOf(status, id)),
  )
}

function inOrder(
  connection: SpireConnection,
  expected: number,
  results: readonly EntryResult[],
): readonly EntryResult[] {
  if (results.length === expected) return results
  throw new SpireApiError(
    'SPIRE_BAD_ANSWER',
    `${connection.name}: asked about ${expected} entries, answered about ${results.length}`,
  )
}

function resultOf(status: Status | undefined, id = ''): EntryResult {
  // Without a status nothing is known to have succeeded.
  return { code: status?.code ?? 2, message: status?.message ?? 'the server gave no status', id }
}

const BLANK: EntrySpec = {
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

const NO_FIELD = {
  spiffeId: false,
  parentId: false,
  selectors: false,
  x509SvidTtl: false,
  federatesWith: false,
  admin: false,
  downstream: false,
  expiresAt: false,
  dnsNames: false,
  revisionNumber: false,
  storeSvid: false,
  jwtSvidTtl: false,
  hint: false,
  createdAt: false,
  additionalAttributes: false,
}

function messageOf(spec: EntrySpec, id: string): Entry {
  return {
    id,
    spiffeId: spec.spiffeId === '' ? undefined : requireSpiffeId(spec.spiffeId),
    parentId: requireSpiffeId(spec.parentId),
    selectors: spec.selectors.map(selectorOf),
    x509SvidTtl: spec.x509SvidTtl,
    federatesWith: [...spec.federatesWith],
    admin: spec.admin,
    downstream: spec.downstream,
    expiresAt: BigInt(spec.expiresAt),
    dnsNames: [...spec.dnsNames],
    revisionNumber: 0n,
    storeSvid: spec.storeSvid,
    jwtSvidTtl: spec.jwtSvidTtl,
    hint: spec.hint,
    createdAt: 0n,
    additionalAttributes: undefined,
  }
}

function entryOf(entry: Entry): SpireEntry {
  return {
    id: entry.id,
    spiffeId: spiffeIdText(entry.spiffeId),
    parentId: spiffeIdText(entry.parentId),
    selectors: entry.selectors.map(selectorOf),
    x509SvidTtl: entry.x509SvidTtl,
    jwtSvidTtl: entry.jwtSvidTtl,
    hint: entry.hint,
    admin: entry.admin,
    downstream: entry.downstream,
    storeSvid: entry.storeSvid,
    dnsNames: entry.dnsNames,
    federatesWith: entry.federatesWith,
    expiresAt: Number(entry.expiresAt),
    revision: Number(entry.revisionNumber),
    createdAt: Number(entry.createdAt),
  }
}
