/**
 * Who calls, as far as SPIRE says: it decides who waits behind whom, and nothing else.
 *
 * @module
 */
import { isIP } from 'node:net'
import type { AgentId } from '@tower-of-omens/keylime'
import type { AttestStream } from '@tower-of-omens/spire-sdk'
import type { Asker } from '../reading/lanes.ts'
import type { AdmittedNodes } from './identity.ts'

/** One who has proved himself. */
export const PROVED: Asker = { isKnown: true, caller: undefined }

/**
 * Reads where a call comes from; SPIRE 1.15.2 and newer say so.
 *
 * @param stream The attestation's.
 * @returns An address, without a port; undefined when there is none, or something else: it goes into logs and queues.
 */
export function callerIp({ metadata }: Pick<AttestStream, 'metadata'>): string | undefined {
  const said = metadata.get('x-forwarded-client-ip') ?? ''
  const address = isIP(said) === 0 ? /^\[?([^[\]]{1,64}?)\]?:\d{1,5}$/.exec(said)?.[1] : said
  return address === undefined || address.length > 64 || isIP(address) === 0 ? undefined : address
}

/**
 * Describes a caller before anything is proved.
 *
 * @param stream The attestation's.
 * @param agentId Whom the caller claims to be.
 * @param admitted Which nodes were admitted.
 * @returns The caller, known when a node of that ID was admitted before.
 */
export function askerOf(stream: Pick<AttestStream, 'metadata'>, agentId: AgentId, admitted: AdmittedNodes): Asker {
  return { isKnown: admitted.holder(agentId) !== undefined, caller: callerIp(stream) }
}
