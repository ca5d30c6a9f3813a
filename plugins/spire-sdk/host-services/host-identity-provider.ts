/**
 * Host service IdentityProvider: SPIRE Server's own X509-SVID, ready as a client identity for mutual TLS.
 *
 * @module
 */
import { IdentityProviderService } from '../gen/spire/hostservice/server/identityprovider/v1/identityprovider.ts'
import type { Bundle } from '../gen/spire/plugin/types/bundle.ts'
import { RpcError } from '../wire/rpc-error.ts'
import type { HostCall, HostCallOptions } from './host-call.ts'

/** An X509-SVID with its key and the bundle of its trust domain. */
export interface X509Identity {
  /** DER certificates, the leaf first. */
  readonly certChain: readonly Buffer[]
  /** PKCS#8 DER. A secret: never log it. */
  readonly privateKey: Buffer
  readonly bundle: Bundle
}

/** SPIRE Server's own identity. */
export interface IdentityProvider {
  /**
   * Fetches the identity as it is now; SPIRE rotates it.
   *
   * @param options Bound of the call.
   * @returns Chain, key and bundle.
   * @throws {RpcError} `FAILED_PRECONDITION`: SPIRE is still loading its plugins. `INTERNAL`: the answer lacks the
   *   identity or the bundle. Otherwise the host's own status.
   */
  fetchX509Identity(options?: HostCallOptions): Promise<X509Identity>
}

/**
 * Makes the IdentityProvider client.
 *
 * @param call Calls the host.
 * @returns Client.
 */
export function newIdentityProvider(call: HostCall): IdentityProvider {
  return {
    async fetchX509Identity(options) {
      const { identity, bundle } = await call(IdentityProviderService.fetchX509Identity, {}, options)
      if (identity === undefined || bundle === undefined) {
        throw new RpcError('INTERNAL', 'host answered without an identity or without its bundle')
      }
      return { certChain: identity.certChain, privateKey: identity.privateKey, bundle }
    },
  }
}
