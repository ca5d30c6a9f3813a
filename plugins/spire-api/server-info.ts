/**
 * What a SPIRE server says of itself: whether it serves, and its counts.
 *
 * @module
 */
import type { SpireCallOptions, SpireConnection } from './connection.ts'
import { HealthCheckResponse_ServingStatus, HealthService } from './gen/grpc/health/v1/health.ts'
import { DebugService } from './gen/spire/api/server/debug/v1/debug.ts'
import { spiffeIdText } from './spiffe-ids.ts'

/** Counts and age of a server. */
export interface SpireServerInfo {
  /** SPIFFE ID of the server itself; its trust domain is the one it serves. */
  readonly id: string
  readonly uptimeSeconds: number
  readonly agents: number
  readonly entries: number
  readonly federatedBundles: number
  /** When its own SVID ends, seconds since the epoch; 0 where it does not say. */
  readonly svidExpiresAt: number
}

/**
 * Reads a server's counts and age.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns What it says.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function serverInfo(
  connection: SpireConnection,
  options: SpireCallOptions = {},
): Promise<SpireServerInfo> {
  const info = await connection.call(DebugService.getInfo, {}, '', options)
  const [own] = info.svidChain
  return {
    id: spiffeIdText(own?.id),
    uptimeSeconds: info.uptime,
    agents: info.agentsCount,
    entries: info.entriesCount,
    federatedBundles: info.federatedBundlesCount,
    svidExpiresAt: Number(own?.expiresAt ?? 0n),
  }
}

/**
 * Asks whether a server serves.
 *
 * @param connection The server.
 * @param options `signal`: the caller's.
 * @returns True when it says so.
 * @throws {SpireApiError} As {@link SpireConnection.call}.
 */
export async function isServing(connection: SpireConnection, options: SpireCallOptions = {}): Promise<boolean> {
  const { status } = await connection.call(HealthService.check, { service: '' }, '', options)
  return status === HealthCheckResponse_ServingStatus.SERVING
}
