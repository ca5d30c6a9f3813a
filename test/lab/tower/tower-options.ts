/**
 * What a tower is made of, and what can differ from one to the next.
 *
 * @module
 */

import type { Parts } from '../parts/parts.ts'
import type { ConfObject } from '../services/hcl-text.ts'

/** How patient the verifier is with a host that does not answer: 62 s until it is failed, or 6 s. */
export type Patience = 'default' | 'short'

/** Programs that a tower needs. */
export interface TowerParts extends Parts {
  readonly bao: string
  /** Folder of Python packages that Keylime needs for PostgreSQL. */
  readonly pythonPackages: string
}

/** What can differ from one tower to the next. */
export interface TowerOptions {
  readonly parts: TowerParts
  /** Begins the namespaces' names; default `tower`. Two towers stand side by side under different prefixes. */
  readonly prefix?: string
  /** Number of hosts, 1 to 100; default 3. */
  readonly hosts?: number
  /** How long the verifier waits for a silent host; default `short`. */
  readonly patience?: Patience
  /** Keys of the server half's `plugin_data`, besides addresses and files. */
  readonly serverData?: ConfObject
  /** Keeps the server half's `plugin_data` in a file of its own, which SPIRE reads again on SIGUSR1. */
  readonly serverDataFile?: boolean
  /** Has the verifier ring the bell of `towerkeep watch` when it fails a host. */
  readonly webhook?: boolean
  /**
   * Adds a second site of services: SPIRE servers and registrars share a PostgreSQL, each verifier has half of the hosts.
   */
  readonly twoSites?: boolean
  /** Names of the hosts in push mode: their Keylime agents report to a verifier of their own; default: none. */
  readonly push?: readonly string[]
  /** Told about each part as it comes up. */
  readonly onPart?: (what: string, seconds: number) => void
}

/** What a new host claims to be. */
export interface HostClaim {
  readonly uuid?: string
  readonly standIn?: boolean
}
