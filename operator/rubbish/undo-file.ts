/**
 * What gc deletes, exported before it does.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { OperatorError } from '../operator-error.ts'

const SELECTOR = v.object({ type: v.string(), value: v.string() })
const ENTRY = v.object({
  spiffeId: v.string(),
  parentId: v.string(),
  selectors: v.array(SELECTOR),
  x509SvidTtl: v.number(),
  jwtSvidTtl: v.number(),
  hint: v.string(),
  admin: v.boolean(),
  downstream: v.boolean(),
  storeSvid: v.boolean(),
  dnsNames: v.array(v.string()),
  federatesWith: v.array(v.string()),
  expiresAt: v.number(),
})
/** What the registrar knew, since a registration goes too and comes back only when its Keylime agent starts. */
const REGISTRATION = v.object({
  ekTpm: v.string(),
  akTpm: v.string(),
  mtlsCert: v.optional(v.string()),
})
const ENROLMENT = v.object({
  agentId: v.string(),
  registration: v.optional(REGISTRATION),
  ip: v.optional(v.string()),
  port: v.optional(v.number()),
  tpmPolicy: v.string(),
  runtimePolicy: v.optional(v.string()),
  measuredBootPolicy: v.optional(v.string()),
  /** Policies that it was enrolled with and that could not be read: without them it must not come back. */
  lacks: v.optional(v.array(v.string()), []),
})
const UNDO = v.object({
  schema: v.literal('towerkeep/gc-undo/v1'),
  at: v.string(),
  entries: v.array(ENTRY),
  enrolments: v.array(ENROLMENT),
  /** For people: a registration comes back when its Keylime agent starts, a SPIRE agent when it attests. */
  registrations: v.array(v.string()),
  agents: v.array(v.string()),
})

/** Everything that one run deletes. */
export type UndoFile = v.InferOutput<typeof UNDO>

/**
 * Writes an undo file.
 *
 * @param folder Made if missing.
 * @param undo What will be deleted.
 * @returns Its path.
 */
export function writeUndo(folder: string, undo: UndoFile): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, `gc-${undo.at.replaceAll(/[^0-9]/g, '').slice(0, 17)}.undo`)
  writeFileSync(file, `${JSON.stringify(undo, null, 2)}\n`, { mode: 0o600 })
  return file
}

/**
 * Reads an undo file.
 *
 * @param file Its path.
 * @returns What it holds.
 * @throws {OperatorError} `TK-USAGE`: it is none.
 */
export function readUndo(file: string): UndoFile {
  try {
    return v.parse(UNDO, JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `${file}: is no undo file of towerkeep gc`, { cause })
  }
}
