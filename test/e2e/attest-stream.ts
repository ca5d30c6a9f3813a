/**
 * Speaks to spire-server as an agent does, message by message: for attestations no honest agent would make.
 *
 * @module
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'

/** How an attestation ended. */
export interface StreamOutcome {
  /** Name of the gRPC status. */
  readonly code: string
  readonly details: string
}

const asIs = (bytes: Buffer): Buffer => bytes

const METHOD = '/spire.api.server.agent.v1.Agent/AttestAgent'
const TAG_PARAMS = 1
const TAG_CHALLENGE_RESPONSE = 2
const TAG_RESULT = 1
const TAG_CHALLENGE = 2

/**
 * Runs one attestation over the server's admin socket, where no certificate is asked for.
 *
 * @param answer Called with the challenge; gives the response.
 * @returns Status and message; `OK` when an identity was given.
 * @see spire-api-sdk, proto/spire/api/server/agent/v1/agent.proto
 */
export async function attestOverSocket(
  socketPath: string,
  payload: Uint8Array,
  answer: (challenge: Buffer) => Promise<Uint8Array> | Uint8Array,
): Promise<StreamOutcome> {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure())
  const stream = client.makeBidiStreamRequest(METHOD, asIs, asIs, { deadline: Date.now() + 30_000 })
  try {
    return await new Promise<StreamOutcome>((resolve, reject) => {
      const refused = (error: ServiceError): void => {
        resolve({ code: status[error.code] ?? String(error.code), details: error.details })
      }
      const respond = async (challenge: Buffer): Promise<void> => {
        const response = await answer(challenge)
        stream.write(lengthDelimited(TAG_CHALLENGE_RESPONSE, response))
      }
      stream.on('error', refused)
      stream.on('data', (message: Buffer) => {
        const reader = new BinaryReader(message)
        const [tag] = reader.tag()
        if (tag === TAG_RESULT) resolve({ code: 'OK', details: '' })
        if (tag === TAG_CHALLENGE) respond(Buffer.from(reader.bytes())).catch(reject)
      })
      stream.write(params(payload))
    })
  } finally {
    stream.cancel()
    client.close()
  }
}

function params(payload: Uint8Array): Buffer {
  const data = new BinaryWriter().uint32(10).string('keylime').uint32(18).bytes(payload).finish()
  // The request for the SVID is looked at after the attestation only.
  const svid = new BinaryWriter().uint32(10).bytes(Buffer.from('no CSR')).finish()
  return lengthDelimited(TAG_PARAMS, new BinaryWriter().uint32(10).bytes(data).uint32(18).bytes(svid).finish())
}

function lengthDelimited(tag: number, bytes: Uint8Array): Buffer {
  const message = new BinaryWriter().uint32((tag << 3) | 2).bytes(bytes)
  return Buffer.from(message.finish())
}
