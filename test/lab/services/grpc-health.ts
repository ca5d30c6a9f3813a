/**
 * One gRPC health question over a Unix socket: cheaper than starting a 90 MB binary ten times a second.
 *
 * @module
 */
import { Client, credentials } from '@grpc/grpc-js'

/** The two bytes of HealthCheckResponse { status: SERVING }. */
const SERVING = Buffer.from([0x08, 0x01])

/**
 * Asks whether the server behind a socket serves.
 *
 * @param socketPath Absolute path.
 * @returns Whether the answer within a second was SERVING.
 * @throws The gRPC error: no socket, not serving yet.
 */
export function isServing(socketPath: string): Promise<boolean> {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure())
  return new Promise<boolean>((resolve, reject) => {
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      Buffer.alloc(0),
      { deadline: Date.now() + 1_000 },
      (error, answer) => (error === null ? resolve(answer?.equals(SERVING) ?? false) : reject(error)),
    )
  }).finally(() => client.close())
}
