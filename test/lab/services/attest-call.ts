/**
 * Attests at a real spire-server over its admin socket, where no certificate is asked for, message by message: as an
 * agent does, or as no honest agent would.
 *
 * @see spire-api-sdk, proto/spire/api/server/agent/v1/agent.proto
 * @module
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'

/** How an attestation ended. */
export interface AttestOutcome {
  /** Name of the gRPC status; `OK` when an identity was given. */
  readonly code: string
  readonly details: string
}

/** What the caller of an attestation says. */
export interface AttestCall {
  readonly payload: Uint8Array
  /** Answers a challenge. */
  readonly answer: (challenge: Buffer) => Promise<Uint8Array> | Uint8Array
  /** DER of a certificate request; default: none, which SPIRE notices after the attestation alone. */
  readonly csr?: Uint8Array
}

const METHOD = '/spire.api.server.agent.v1.Agent/AttestAgent'
const DEADLINE_MS = 60_000
const PARAMS = 1
const CHALLENGE_RESPONSE = 2
const RESULT = 1
const CHALLENGE = 2

/** Opens a connection to the admin socket of a spire-server. */
export function openAdminSocket(socketPath: string): Client {
  return new Client(`unix:${socketPath}`, credentials.createInsecure())
}

/**
 * Runs one attestation on an open connection.
 *
 * @throws {Error} `answer` throws.
 */
export async function attest(client: Client, { payload, answer, csr }: AttestCall): Promise<AttestOutcome> {
  const stream = client.makeBidiStreamRequest(METHOD, asIs, asIs, { deadline: Date.now() + DEADLINE_MS })
  try {
    return await new Promise<AttestOutcome>((resolve, reject) => {
      const refused = (error: ServiceError): void => {
        resolve({ code: status[error.code] ?? String(error.code), details: error.details })
      }
      const respond = async (challenge: Buffer): Promise<void> => {
        stream.write(bytesField(CHALLENGE_RESPONSE, await answer(challenge)))
      }
      stream.on('error', refused)
      stream.on('data', (message: Buffer) => {
        const reader = new BinaryReader(message)
        const [field] = reader.tag()
        if (field === RESULT) resolve({ code: 'OK', details: '' })
        if (field === CHALLENGE) respond(Buffer.from(reader.bytes())).catch(reject)
      })
      stream.write(params(payload, csr ?? Buffer.from('no CSR')))
    })
  } finally {
    stream.cancel()
  }
}

/** Runs one attestation on a connection of its own. */
export async function attestOverSocket(socketPath: string, call: AttestCall): Promise<AttestOutcome> {
  const client = openAdminSocket(socketPath)
  try {
    return await attest(client, call)
  } finally {
    client.close()
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}

function params(payload: Uint8Array, csr: Uint8Array): Buffer {
  const data = new BinaryWriter().uint32(10).string('keylime').uint32(18).bytes(payload).finish()
  const svid = new BinaryWriter().uint32(10).bytes(csr).finish()
  return bytesField(PARAMS, new BinaryWriter().uint32(10).bytes(data).uint32(18).bytes(svid).finish())
}

function bytesField(number: number, bytes: Uint8Array): Buffer {
  return Buffer.from(
    new BinaryWriter()
      .uint32((number << 3) | 2)
      .bytes(bytes)
      .finish(),
  )
}
