/**
 * Attests nodes at a real spire-server over its admin socket, as SPIRE agents do over TCP, on one connection.
 *
 * @module
 */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import { Client, credentials } from '@grpc/grpc-js'
import { cryptoProvider, Pkcs10CertificateRequestGenerator } from '@peculiar/x509'
import type { FakeNode } from '../fakes/fake-node.ts'

/** A connection to a spire-server. */
export interface SpireClient {
  /** Attests one node and waits for its SVID; rejects with SPIRE's refusal. */
  attest(node: FakeNode): Promise<void>
  close(): void
}

const METHOD = '/spire.api.server.agent.v1.Agent/AttestAgent'
// Field numbers of spire-api-sdk, proto/spire/api/server/agent/v1/agent.proto.
const PARAMS = 1
const CHALLENGE_RESPONSE = 2
const RESULT = 1
const CHALLENGE = 2
const DEADLINE_MS = 60_000

/**
 * Opens a connection.
 *
 * @param socketPath Admin socket of spire-server.
 * @returns The client; every attestation asks for an SVID of the same key, which costs the server the same as another.
 */
export async function openSpireClient(socketPath: string): Promise<SpireClient> {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure())
  const csr = await newCsr()
  return { attest: (node) => attest(client, csr, node), close: () => client.close() }
}

async function newCsr(): Promise<Uint8Array> {
  cryptoProvider.set(webcrypto)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm })
  return new Uint8Array(request.rawData)
}

async function attest(client: Client, csr: Uint8Array, node: FakeNode): Promise<void> {
  const stream = client.makeBidiStreamRequest<Buffer, Buffer>(METHOD, asIs, asIs, {
    deadline: Date.now() + DEADLINE_MS,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject)
      stream.on('data', (message: Buffer) => {
        const reader = new BinaryReader(message)
        const [field] = reader.tag()
        if (field === RESULT) resolve()
        if (field === CHALLENGE) stream.write(bytesField(CHALLENGE_RESPONSE, node.respond(reader.bytes())))
      })
      stream.on('end', () => reject(new Error('spire-server ended the stream without an SVID')))
      stream.write(attestParams(node.payload(), csr))
    })
  } finally {
    stream.cancel()
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}

function attestParams(payload: Uint8Array, csr: Uint8Array): Buffer {
  const data = new BinaryWriter().uint32(10).string('keylime').uint32(18).bytes(payload).finish()
  const svid = new BinaryWriter().uint32(10).bytes(csr).finish()
  return bytesField(PARAMS, new BinaryWriter().uint32(10).bytes(data).uint32(18).bytes(svid).finish())
}

function bytesField(number: number, bytes: Uint8Array): Buffer {
  const message = new BinaryWriter().uint32((number << 3) | 2).bytes(bytes)
  return Buffer.from(message.finish())
}
