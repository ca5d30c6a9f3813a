/**
 * CredentialComposer: shapes the certificates and tokens spire-server issues.
 *
 * @module
 */
import type {
  ComposeAgentX509SVIDRequest,
  ComposeServerX509CARequest,
  ComposeServerX509SVIDRequest,
  ComposeWorkloadJWTSVIDRequest,
  ComposeWorkloadX509SVIDRequest,
  CredentialComposerServer,
  JWTSVIDAttributes,
  X509CAAttributes,
  X509SVIDAttributes,
} from '../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts'
import { type CallContext, type PluginRuntime, type UnaryHandler, unary } from '../runtime/call.ts'
import type { PluginService } from '../runtime/plugin-service.ts'
import { RpcError } from '../wire/rpc-error.ts'

/** Whose credential it is. */
export interface CredentialSubject {
  /** SPIFFE ID of the agent or workload. */
  readonly spiffeId: string
  /** PKIX (SubjectPublicKeyInfo) DER. */
  readonly publicKey: Uint8Array
}

/**
 * What the author of a CredentialComposer writes. An absent method, like `undefined`, keeps SPIRE's own attributes;
 * an error stops the issuance. Change the attributes given and return them, so that later fields survive.
 */
export interface CredentialComposer<C> {
  /** Shapes the CA certificate of the server. */
  serverX509Ca?(attributes: X509CAAttributes, config: C, context: CallContext): Promise<X509CAAttributes | undefined>
  /** Shapes the server's own X509-SVID. */
  serverX509Svid?(
    attributes: X509SVIDAttributes,
    config: C,
    context: CallContext,
  ): Promise<X509SVIDAttributes | undefined>
  /** Shapes the X509-SVID of an agent; called at each renewal too. */
  agentX509Svid?(
    attributes: X509SVIDAttributes,
    subject: CredentialSubject,
    config: C,
    context: CallContext,
  ): Promise<X509SVIDAttributes | undefined>
  /** Shapes the X509-SVID of a workload. */
  workloadX509Svid?(
    attributes: X509SVIDAttributes,
    subject: CredentialSubject,
    config: C,
    context: CallContext,
  ): Promise<X509SVIDAttributes | undefined>
  /** Shapes the JWT-SVID of a workload. */
  workloadJwtSvid?(
    attributes: JWTSVIDAttributes,
    spiffeId: string,
    config: C,
    context: CallContext,
  ): Promise<JWTSVIDAttributes | undefined>
}

/**
 * Makes the service of a CredentialComposer.
 *
 * @param impl The plugin's code.
 * @returns Service for `servePlugin`, under type `CredentialComposer`.
 */
export function credentialComposer<C>(impl: CredentialComposer<C>): PluginService<C> {
  return {
    name: 'spire.plugin.server.credentialcomposer.v1.CredentialComposer',
    async bind(runtime) {
      const { CredentialComposerService } = await import(
        '../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts'
      )
      return { definition: CredentialComposerService, implementation: handlers(impl, runtime) }
    },
  }
}

function handlers<C>(impl: CredentialComposer<C>, runtime: PluginRuntime<C>): CredentialComposerServer {
  return {
    composeServerX509Ca: compose(
      runtime,
      'ComposeServerX509CA',
      (_request: ComposeServerX509CARequest, attributes, config, context) =>
        impl.serverX509Ca?.(attributes, config, context),
    ),
    composeServerX509Svid: compose(
      runtime,
      'ComposeServerX509SVID',
      (_request: ComposeServerX509SVIDRequest, attributes, config, context) =>
        impl.serverX509Svid?.(attributes, config, context),
    ),
    composeAgentX509Svid: compose(
      runtime,
      'ComposeAgentX509SVID',
      (request: ComposeAgentX509SVIDRequest, attributes, config, context) =>
        impl.agentX509Svid?.(attributes, subjectOf(request), config, context),
    ),
    composeWorkloadX509Svid: compose(
      runtime,
      'ComposeWorkloadX509SVID',
      (request: ComposeWorkloadX509SVIDRequest, attributes, config, context) =>
        impl.workloadX509Svid?.(attributes, subjectOf(request), config, context),
    ),
    composeWorkloadJwtsvid: compose(
      runtime,
      'ComposeWorkloadJWTSVID',
      (request: ComposeWorkloadJWTSVIDRequest, attributes, config, context) =>
        impl.workloadJwtSvid?.(attributes, request.spiffeId, config, context),
    ),
  }
}

// An empty answer keeps SPIRE's attributes, as UNIMPLEMENTED would.
function compose<C, Req extends { readonly attributes: A | undefined }, A>(
  runtime: PluginRuntime<C>,
  method: string,
  run: (
    request: Req,
    attributes: NonNullable<Req['attributes']>,
    config: C,
    context: CallContext,
  ) => Promise<A | undefined> | undefined,
): UnaryHandler<Req, { attributes: A | undefined }> {
  return unary(runtime, method, async (request: Req, config: C, context) => {
    const { attributes } = request
    if (attributes === undefined || attributes === null)
      throw new RpcError('INVALID_ARGUMENT', 'attributes are required')
    return { attributes: await run(request, attributes, config, context) }
  })
}

function subjectOf(request: { readonly spiffeId: string; readonly publicKey: Uint8Array }): CredentialSubject {
  return { spiffeId: request.spiffeId, publicKey: request.publicKey }
}
