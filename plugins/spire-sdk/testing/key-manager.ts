/**
 * The driver of a KeyManager, of server or agent, as SPIRE calls it.
 *
 * @module
 */
import { KeyManagerClient as AgentKeyManagerClient } from '../gen/spire/plugin/agent/keymanager/v1/keymanager.ts'
import {
  type GenerateKeyResponse,
  type GetPublicKeyResponse,
  type GetPublicKeysResponse,
  type PublicKey,
  KeyManagerClient as ServerKeyManagerClient,
  type SignDataResponse,
} from '../gen/spire/plugin/server/keymanager/v1/keymanager.ts'
import {
  HASH_ALGORITHMS,
  KEY_TYPES,
  type KeyTypeName,
  type ManagedKey,
  type Signed,
  type SignRequest,
} from '../plugin-types/key-manager.ts'
import { asBuffer } from '../runtime/plugin-service.ts'
import { type DrivenPlugin, unary } from './driven-plugin.ts'

/** A KeyManager seen from SPIRE. Each method rejects with the status of the plugin. */
export interface DrivenKeyManager {
  readonly generateKey: (id: string, type: KeyTypeName) => Promise<ManagedKey>
  readonly getPublicKey: (id: string) => Promise<ManagedKey>
  readonly getPublicKeys: () => Promise<readonly ManagedKey[]>
  readonly signData: (request: SignRequest) => Promise<Signed>
}

/**
 * Drives the KeyManager of spire-server.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods.
 */
export function driveServerKeyManager(plugin: DrivenPlugin): DrivenKeyManager {
  return drive(plugin.client(ServerKeyManagerClient))
}

/**
 * Drives the KeyManager of spire-agent.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods.
 */
export function driveAgentKeyManager(plugin: DrivenPlugin): DrivenKeyManager {
  return drive(plugin.client(AgentKeyManagerClient))
}

function drive(client: AgentKeyManagerClient | ServerKeyManagerClient): DrivenKeyManager {
  return {
    generateKey: async (keyId, type) => {
      const request = { keyId, keyType: KEY_TYPES[type] }
      return managed(await unary<GenerateKeyResponse>((done) => client.generateKey(request, done)))
    },
    getPublicKey: async (keyId) =>
      managed(await unary<GetPublicKeyResponse>((done) => client.getPublicKey({ keyId }, done))),
    getPublicKeys: async () => {
      const { publicKeys } = await unary<GetPublicKeysResponse>((done) => client.getPublicKeys({}, done))
      return publicKeys.map((publicKey) => managed({ publicKey }))
    },
    signData: ({ keyId, data, hash, pssSaltLength }) => {
      const hashAlgorithm = HASH_ALGORITHMS[hash]
      const signerOpts =
        pssSaltLength === undefined
          ? ({ $case: 'hashAlgorithm', value: hashAlgorithm } as const)
          : ({ $case: 'pssOptions', value: { saltLength: pssSaltLength, hashAlgorithm } } as const)
      return unary<SignDataResponse>((done) => client.signData({ keyId, data: asBuffer(data), signerOpts }, done))
    },
  }
}

function managed({ publicKey }: { readonly publicKey: PublicKey | undefined }): ManagedKey {
  if (publicKey === undefined) throw new Error('plugin response missing public key')
  const { id, type, pkixData, fingerprint } = publicKey
  const name = Object.entries(KEY_TYPES).find(([, number]) => number === type)?.[0]
  // The names of the table are the type's own.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { id, type: name as KeyTypeName, pkixData, fingerprint }
}
