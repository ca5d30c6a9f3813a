/**
 * Drivers of the two plugin types of spire-agent that serve workloads, WorkloadAttestor and SVIDStore.
 *
 * @module
 */
import { SVIDStoreClient } from '../gen/spire/plugin/agent/svidstore/v1/svidstore.ts'
import {
  type AttestReferenceResponse,
  type AttestResponse,
  WorkloadAttestorClient,
} from '../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts'
import type { StoredSvid } from '../plugin-types/svid-store.ts'
import type { WorkloadReference } from '../plugin-types/workload-attestor.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { type DrivenPlugin, unary } from './driven-plugin.ts'

/** A WorkloadAttestor seen from SPIRE: selector values, without the plugin's name. */
export interface DrivenWorkloadAttestor {
  readonly attest: (pid: number) => Promise<readonly string[]>
  readonly attestReference: (reference: WorkloadReference) => Promise<readonly string[]>
}

/**
 * Drives a WorkloadAttestor.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods, which reject with the status of the plugin.
 */
export function driveWorkloadAttestor(plugin: DrivenPlugin): DrivenWorkloadAttestor {
  const client = plugin.client(WorkloadAttestorClient)
  return {
    attest: async (pid) => (await unary<AttestResponse>((done) => client.attest({ pid }, done))).selectorValues,
    attestReference: async ({ typeUrl, value }) => {
      const reference = { typeUrl, value: asBuffer(value) }
      return (await unary<AttestReferenceResponse>((done) => client.attestReference({ reference }, done)))
        .selectorValues
    },
  }
}

/** An SVIDStore seen from SPIRE. */
export interface DrivenSvidStore {
  readonly putX509Svid: (stored: StoredSvid) => Promise<void>
  readonly deleteX509Svid: (metadata: readonly string[]) => Promise<void>
}

/**
 * Drives an SVIDStore.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods, which reject with the status of the plugin.
 */
export function driveSvidStore(plugin: DrivenPlugin): DrivenSvidStore {
  const client = plugin.client(SVIDStoreClient)
  return {
    putX509Svid: async ({ svid, metadata, federatedBundles }) => {
      const bundles = Object.entries(federatedBundles).map(([name, der]) => [name, asBuffer(der)] as const)
      const request = { svid, metadata: [...metadata], federatedBundles: Object.fromEntries(bundles) }
      await unary((done) => client.putX509Svid(request, done))
    },
    deleteX509Svid: async (metadata) => {
      await unary((done) => client.deleteX509Svid({ metadata: [...metadata] }, done))
    },
  }
}
