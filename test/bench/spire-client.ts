/**
 * Attests nodes at a real spire-server over its admin socket, as SPIRE agents do over TCP, on one connection.
 *
 * @module
 */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { cryptoProvider, Pkcs10CertificateRequestGenerator } from '@peculiar/x509'
import type { FakeNode } from '../fakes/fake-node.ts'
import { attest, openAdminSocket } from '../lab/services/attest-call.ts'

/** A connection to a spire-server. */
export interface SpireClient {
  /** Attests one node and waits for its SVID; rejects with SPIRE's refusal. */
  attest(node: FakeNode): Promise<void>
  close(): void
}

/**
 * Opens a connection.
 *
 * @returns The client; every attestation asks for an SVID of the same key, which costs the server the same as another.
 */
export async function openSpireClient(socketPath: string): Promise<SpireClient> {
  const client = openAdminSocket(socketPath)
  const csr = await newCsr()
  return {
    async attest(node) {
      const answer = (challenge: Buffer): Uint8Array => node.respond(challenge)
      const { code, details } = await attest(client, { payload: node.payload(), csr, answer })
      if (code !== 'OK') throw new Error(`${code}: ${details}`)
    },
    close: () => client.close(),
  }
}

async function newCsr(): Promise<Uint8Array> {
  cryptoProvider.set(webcrypto)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm })
  return new Uint8Array(request.rawData)
}
