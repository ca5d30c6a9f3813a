/**
 * The driver of a CredentialComposer, as spire-server calls it.
 *
 * @module
 */
import {
  CredentialComposerClient,
  type JWTSVIDAttributes,
  type X509CAAttributes,
  type X509SVIDAttributes,
} from '../gen/spire/plugin/server/credentialcomposer/v1/credentialcomposer.ts'
import type { CredentialSubject } from '../plugin-types/credential-composer.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { type DrivenPlugin, unary } from './driven-plugin.ts'

/** A CredentialComposer seen from SPIRE: what goes in comes out, changed or not. */
export interface DrivenCredentialComposer {
  readonly serverX509Ca: (attributes: X509CAAttributes) => Promise<X509CAAttributes>
  readonly serverX509Svid: (attributes: X509SVIDAttributes) => Promise<X509SVIDAttributes>
  readonly agentX509Svid: (attributes: X509SVIDAttributes, subject: CredentialSubject) => Promise<X509SVIDAttributes>
  readonly workloadX509Svid: (attributes: X509SVIDAttributes, subject: CredentialSubject) => Promise<X509SVIDAttributes>
  readonly workloadJwtSvid: (attributes: JWTSVIDAttributes, spiffeId: string) => Promise<JWTSVIDAttributes>
}

/**
 * Drives the composer.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods. Where it has no opinion, the attributes given; a status of the plugin is thrown.
 */
export function driveCredentialComposer(plugin: DrivenPlugin): DrivenCredentialComposer {
  const client = plugin.client(CredentialComposerClient)
  return {
    serverX509Ca: (attributes) => composed(attributes, (done) => client.composeServerX509Ca({ attributes }, done)),
    serverX509Svid: (attributes) => composed(attributes, (done) => client.composeServerX509Svid({ attributes }, done)),
    agentX509Svid: (attributes, subject) =>
      composed(attributes, (done) => client.composeAgentX509Svid({ attributes, ...about(subject) }, done)),
    workloadX509Svid: (attributes, subject) =>
      composed(attributes, (done) => client.composeWorkloadX509Svid({ attributes, ...about(subject) }, done)),
    workloadJwtSvid: (attributes, spiffeId) =>
      composed(attributes, (done) => client.composeWorkloadJwtsvid({ attributes, spiffeId }, done)),
  }
}

function about({ spiffeId, publicKey }: CredentialSubject): { spiffeId: string; publicKey: Buffer } {
  return { spiffeId, publicKey: asBuffer(publicKey) }
}

async function composed<A>(
  given: A,
  start: Parameters<typeof unary<{ readonly attributes: A | undefined }>>[0],
): Promise<A> {
  return (await unary(start)).attributes ?? given
}
