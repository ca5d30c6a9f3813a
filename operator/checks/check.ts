/**
 * Checks: what each looks at, what it needs, what it can find, what it cannot see.
 *
 * @module
 */
import type { FindingId } from '../findings/catalogue.ts'
import type { Finding } from '../findings/finding.ts'
import type { View } from './view.ts'

/** Parts of a tower that can be checked alone. */
export const AREAS = [
  'conf',
  'certs',
  'net',
  'identity',
  'policy',
  'boot',
  'bundle',
  'plugin',
  'devid',
  'clock',
  'spire',
  'keylime',
  'secrets',
] as const

/** One of them. */
export type Area = (typeof AREAS)[number]

/** One check. It only looks. */
export interface Check {
  /** Kebab case, unique. */
  readonly id: string
  readonly area: Area
  /** What it can find, besides `TK-DOC-UNSEEN`. */
  readonly finds: readonly FindingId[]
  /** What it looks at and must be able to reach. */
  readonly needs: string
  /** What it cannot see even then. */
  readonly blind: string
  /** Run only with `--prove`: it asks others, with GET alone. */
  readonly proves?: boolean
  /** @returns What is wrong; nothing where the part is not on this machine. */
  readonly run: (view: View) => Promise<readonly Finding[]> | readonly Finding[]
}
