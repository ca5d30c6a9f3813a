/**
 * The error catalogue: each refusal and failure of either half has a stable code, a message, a cause and a next step.
 *
 * @module
 */
import { oneLine } from '@tower-of-omens/keylime'
import { FAULT_ENTRIES } from './faults.ts'
import { GATE_ENTRIES } from './gate.ts'
import { IDENTITY_ENTRIES } from './identity.ts'
import { NODE_ENTRIES } from './node.ts'
import { PUSH_ENTRIES } from './push.ts'

/** A gRPC status that this catalogue uses; SPIRE Agent exits at once on `PERMISSION_DENIED` and retries the others. */
export type CatalogueStatus =
  | 'INVALID_ARGUMENT'
  | 'FAILED_PRECONDITION'
  | 'PERMISSION_DENIED'
  | 'UNAVAILABLE'
  | 'INTERNAL'
  | 'CANCELLED'
  | 'DEADLINE_EXCEEDED'

/** One refusal or failure, as operators meet it; `docs/errors.md` is printed from these. */
export interface CatalogueEntry {
  readonly status: CatalogueStatus
  /** What the caller reads, one line, `{name}` for each fact; follows `keylime agent <id>: ` once the agent is known. */
  readonly message: string
  /** The likely cause, one or two sentences. */
  readonly cause: string
  /** What to do next. */
  readonly next: string
}

/** Every entry by its code. */
export const CATALOGUE = {
  ...GATE_ENTRIES,
  ...IDENTITY_ENTRIES,
  ...PUSH_ENTRIES,
  ...FAULT_ENTRIES,
  ...NODE_ENTRIES,
} as const

/** A stable code such as `KL-GATE-STALE`; once published it is never given another meaning. */
export type ErrorCode = keyof typeof CATALOGUE

/** A code of the gate, `gate.ts`. */
export type GateCode = keyof typeof GATE_ENTRIES

/** Code of the agent half, `node.ts`. */
export type NodeCode = keyof typeof NODE_ENTRIES

/** A code that names what is wrong with who the node says it is, `identity.ts`. */
export type IdentityCode = keyof typeof IDENTITY_ENTRIES

/** The `{placeholders}` of a message. */
type Placeholders<T extends string> = T extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never

/** A value for every placeholder of a code's message. */
export type MessageFacts<C extends ErrorCode> = Readonly<
  Record<Placeholders<(typeof CATALOGUE)[C]['message']>, string | number>
>

/**
 * Looks an entry up.
 *
 * @param code A code of the catalogue.
 * @returns Its entry.
 */
export function entryOf(code: ErrorCode): CatalogueEntry {
  return CATALOGUE[code]
}

/**
 * Lists every code, for completion and documentation.
 *
 * @returns The codes in the order of the catalogue.
 */
export function errorCodes(): readonly string[] {
  return Object.keys(CATALOGUE)
}

/**
 * Tells whether a text is a code of the catalogue.
 *
 * @param text Any text.
 * @returns True for a code.
 */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(CATALOGUE, text)
}

/**
 * Fills a code's message.
 *
 * @param code A code of the catalogue.
 * @param facts A value for each placeholder; control characters are replaced, since some come from Keylime's answers.
 * @returns One line, without the code.
 */
export function messageOf<C extends ErrorCode>(code: C, facts: MessageFacts<C>): string {
  const values: Readonly<Record<string, string | number>> = facts
  return oneLine(CATALOGUE[code].message.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? '?')))
}
