/**
 * UpstreamAuthority: signs the CA of spire-server with an authority above it.
 *
 * @module
 */
import type {
  MintX509CARequest,
  MintX509CAResponse,
  PublishJWTKeyRequest,
  PublishJWTKeyResponse,
  SubscribeToLocalBundleRequest,
  SubscribeToLocalBundleResponse,
  UpstreamAuthorityServer,
} from '../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts'
import type { JWTKey } from '../gen/spire/plugin/types/jwtkey.ts'
import type { X509Certificate } from '../gen/spire/plugin/types/x509certificate.ts'
import { type CallContext, serverStream } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** A certificate signing request of spire-server. */
export interface MintRequest {
  /** PKCS#10 DER. */
  readonly csr: Uint8Array
  /** Seconds; 0 leaves it to the plugin. */
  readonly preferredTtlSeconds: number
}

/** A new CA certificate, or news of the roots. */
export interface MintedCa {
  /** Needed in the first answer: the new CA certificate, then what links it to a root. */
  readonly x509CaChain: readonly X509Certificate[]
  readonly upstreamX509Roots: readonly X509Certificate[]
}

/** The bundle of the local trust domain as the upstream sees it. */
export interface UpstreamBundle {
  readonly upstreamX509Roots: readonly X509Certificate[]
  readonly upstreamJwtKeys: readonly JWTKey[]
}

/**
 * What the author of an UpstreamAuthority writes. Each method is an async generator: its first value answers, later
 * ones tell of changes, and it must stop when the context's signal aborts. SPIRE does not reopen an ended stream
 * before the next rotation, so a generator that follows its upstream sits through passing trouble.
 */
export interface UpstreamAuthority<C> {
  /** Signs a CA, then tells of new roots. */
  mintX509Ca(request: MintRequest, config: C, context: CallContext): AsyncIterable<MintedCa>
  /** Publishes a JWT key, then tells of the upstream's keys. `UNIMPLEMENTED` when absent. */
  publishJwtKey?(key: JWTKey, config: C, context: CallContext): AsyncIterable<readonly JWTKey[]>
  /** Tells the local bundle and its changes. `UNIMPLEMENTED` when absent. */
  subscribeToLocalBundle?(config: C, context: CallContext): AsyncIterable<UpstreamBundle>
}

/**
 * Makes the service of an UpstreamAuthority.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `UpstreamAuthority`.
 */
export function upstreamAuthority<C>(impl: UpstreamAuthority<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.upstreamauthority.v1.UpstreamAuthority',
    async bind(runtime) {
      const { UpstreamAuthorityService } = await import(
        '../gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts'
      )
      const implementation: UpstreamAuthorityServer = {
        mintX509CaAndSubscribe: serverStream(
          runtime,
          'MintX509CAAndSubscribe',
          (request: MintX509CARequest, config: C, context) => mint(impl, request, config, context),
        ),
        publishJwtKeyAndSubscribe: serverStream(
          runtime,
          'PublishJWTKeyAndSubscribe',
          (request: PublishJWTKeyRequest, config: C, context) => publish(impl, request, config, context),
        ),
        subscribeToLocalBundle: serverStream(
          runtime,
          'SubscribeToLocalBundle',
          (_request: SubscribeToLocalBundleRequest, config: C, context) => subscribe(impl, config, context),
        ),
      }
      return { definition: UpstreamAuthorityService, implementation }
    },
  }
}

async function* mint<C>(
  impl: UpstreamAuthority<C>,
  request: MintX509CARequest,
  config: C,
  context: CallContext,
): AsyncIterable<MintX509CAResponse> {
  const wanted = { csr: request.csr, preferredTtlSeconds: request.preferredTtl }
  for await (const { x509CaChain, upstreamX509Roots } of impl.mintX509Ca(wanted, config, context)) {
    yield { x509CaChain: [...x509CaChain], upstreamX509Roots: [...upstreamX509Roots] }
  }
}

async function* publish<C>(
  impl: UpstreamAuthority<C>,
  request: PublishJWTKeyRequest,
  config: C,
  context: CallContext,
): AsyncIterable<PublishJWTKeyResponse> {
  if (impl.publishJwtKey === undefined) throw new RpcError('UNIMPLEMENTED', 'publishing JWT keys is not supported')
  if (request.jwtKey === undefined) throw new RpcError('INVALID_ARGUMENT', 'jwt_key is required')
  for await (const keys of impl.publishJwtKey(request.jwtKey, config, context)) yield { upstreamJwtKeys: [...keys] }
}

async function* subscribe<C>(
  impl: UpstreamAuthority<C>,
  config: C,
  context: CallContext,
): AsyncIterable<SubscribeToLocalBundleResponse> {
  if (impl.subscribeToLocalBundle === undefined) {
    throw new RpcError('UNIMPLEMENTED', 'following the local bundle is not supported')
  }
  for await (const { upstreamX509Roots, upstreamJwtKeys } of impl.subscribeToLocalBundle(config, context)) {
    yield { upstreamX509Roots: [...upstreamX509Roots], upstreamJwtKeys: [...upstreamJwtKeys] }
  }
}
