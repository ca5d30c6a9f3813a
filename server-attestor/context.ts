/**
 * What one attestation needs, fixed when its stream opens: a later Configure does not reach it.
 *
 * @module
 */

import type { Limiter } from '@tower-of-omens/keylime'
import type { ServerConfig } from './config.ts'
import type { AdmittedNodes } from './identity.ts'
import type { KeylimeClients } from './reading/clients.ts'
import type { EkCaWatch } from './telemetry/ek-ca-watch.ts'
import type { AttestationMetrics } from './telemetry/metrics.ts'
import type { PolicyWatch } from './telemetry/policy-watch.ts'

/** Is the name of the plugin block in SPIRE's configuration, and so the type of its selectors and SPIFFE IDs. */
export const PLUGIN_NAME = 'keylime'

/** Holds a configuration in force, its open services, and what outlives configurations. */
export interface Attestor {
  readonly config: ServerConfig
  readonly clients: KeylimeClients
  readonly metrics: AttestationMetrics
  /** Watches the certificates of `ek_ca_path`, where there are any. */
  readonly ekCaWatch?: EkCaWatch | undefined
  /** Which TPM holds which ID; shared by all configurations of the process. */
  readonly admitted: AdmittedNodes
  /** Which policies were warned of; shared by all configurations of the process. */
  readonly policies: PolicyWatch
  /** How many nodes wait for their attestation: who finds no place is answered at once. Outlives a configuration. */
  readonly held: Limiter
  /** Tells the time for certificates. */
  readonly now: () => Date
  /** Sleeps between two looks at a node that is not attested yet. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}
