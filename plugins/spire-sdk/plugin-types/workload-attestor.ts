/**
 * WorkloadAttestor: says what is known about a local process.
 *
 * @module
 */
import type {
  AttestReferenceRequest,
  AttestRequest,
  WorkloadAttestorServer,
} from '../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts'
import { type CallContext, unary } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** A reference to a workload other than a process id. */
export interface WorkloadReference {
  /** Such as `type.googleapis.com/...WorkloadPIDReference`. */
  readonly typeUrl: string
  /** Encoded message of that type. */
  readonly value: Uint8Array
}

/** What the author of a WorkloadAttestor writes. */
export interface WorkloadAttestor<C> {
  /**
   * Describes a process.
   *
   * @returns Selector values without the plugin's name; none when it is not this plugin's kind of process.
   * @throws {RpcError} It is this plugin's kind of process, but not everything about it could be learnt.
   */
  attest(pid: number, config: C, context: CallContext): Promise<readonly string[]>
  /** The same for a reference. When absent, SPIRE falls back to `attest`. */
  attestReference?(reference: WorkloadReference, config: C, context: CallContext): Promise<readonly string[]>
}

/**
 * Makes the service of a WorkloadAttestor.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `WorkloadAttestor`.
 */
export function workloadAttestor<C>(impl: WorkloadAttestor<C>): PluginService<C> {
  return {
    name: 'spire.plugin.agent.workloadattestor.v1.WorkloadAttestor',
    async bind(runtime) {
      const { WorkloadAttestorService } = await import(
        '../gen/spire/plugin/agent/workloadattestor/v1/workloadattestor.ts'
      )
      const implementation: WorkloadAttestorServer = {
        attest: unary(runtime, 'Attest', async (request: AttestRequest, config: C, context) => ({
          selectorValues: [...(await impl.attest(request.pid, config, context))],
        })),
        attestReference: unary(
          runtime,
          'AttestReference',
          async (request: AttestReferenceRequest, config: C, context) => {
            if (impl.attestReference === undefined) throw new RpcError('UNIMPLEMENTED', 'references are not supported')
            if (request.reference === undefined) throw new RpcError('INVALID_ARGUMENT', 'reference is required')
            return { selectorValues: [...(await impl.attestReference(request.reference, config, context))] }
          },
        ),
      }
      return { definition: WorkloadAttestorService, implementation }
    },
  }
}
