/**
 * The driver of an UpstreamAuthority, as spire-server calls it.
 *
 * @module
 */
import {
  type MintX509CAResponse,
  type PublishJWTKeyResponse,
  type SubscribeToLocalBundleResponse,
  UpstreamAuthorityClient,
} from '../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts'
import type { JWTKey } from '../gen/spire/plugin/types/jwtkey.ts'
import type { MintedCa, MintRequest, UpstreamBundle } from '../plugin-types/upstream-authority.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { type DrivenPlugin, messages } from './driven-plugin.ts'

/** An UpstreamAuthority seen from SPIRE. Leave a loop over a stream, and the call is cancelled. */
export interface DrivenUpstreamAuthority {
  readonly mintX509Ca: (request: MintRequest) => AsyncGenerator<MintedCa>
  readonly publishJwtKey: (key: JWTKey) => AsyncGenerator<readonly JWTKey[]>
  readonly subscribeToLocalBundle: () => AsyncGenerator<UpstreamBundle>
}

/**
 * Drives the authority.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods; each stream throws the status of the plugin.
 */
export function driveUpstreamAuthority(plugin: DrivenPlugin): DrivenUpstreamAuthority {
  const client = plugin.client(UpstreamAuthorityClient)
  return {
    mintX509Ca: ({ csr, preferredTtlSeconds }) =>
      messages(
        client.mintX509CaAndSubscribe({ csr: asBuffer(csr), preferredTtl: preferredTtlSeconds }),
        (minted: MintX509CAResponse) => minted,
      ),
    publishJwtKey: (jwtKey) =>
      messages(
        client.publishJwtKeyAndSubscribe({ jwtKey }),
        ({ upstreamJwtKeys }: PublishJWTKeyResponse) => upstreamJwtKeys,
      ),
    subscribeToLocalBundle: () =>
      messages(client.subscribeToLocalBundle({}), (bundle: SubscribeToLocalBundleResponse) => bundle),
  }
}
