import { constants, createHash, generateKeyPairSync, type KeyObject, privateEncrypt } from 'node:crypto'
import {
  type KeyManager,
  type ManagedKey,
  type PluginOptions,
  RpcError,
  serverKeyManager,
} from '@tower-of-omens/spire-sdk'

/** What stands before a digest in a PKCS#1 v1.5 signature (RFC 8017, section 9.2). */
const DIGEST_INFO: Readonly<Record<string, string>> = {
  SHA256: '3031300d060960864801650304020105000420',
  SHA384: '3041300d060960864801650304020205000430',
  SHA512: '3051300d060960864801650304020305000440',
}

interface Kept {
  readonly shown: ManagedKey
  readonly key: KeyObject
}

/** Keeps RSA keys in memory: `node:crypto` cannot sign a ready digest with an EC key, so such keys are refused. */
function memoryKeys(): KeyManager<undefined> {
  const keys = new Map<string, Kept>()
  return {
    async generateKey(id, type) {
      if (!type.startsWith('RSA_'))
        throw new RpcError('UNIMPLEMENTED', `${type} is not supported: set ca_key_type = "rsa-2048"`)
      const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) })
      const pkixData = publicKey.export({ type: 'spki', format: 'der' })
      const shown = { id, type, pkixData, fingerprint: createHash('sha256').update(pkixData).digest('hex') }
      keys.set(id, { shown, key: privateKey })
      return shown
    },
    getPublicKey: async (id) => keys.get(id)?.shown,
    getPublicKeys: async () => [...keys.values()].map(({ shown }) => shown),
    async signData({ keyId, data, hash, pssSaltLength }) {
      const kept = keys.get(keyId)
      if (kept === undefined) return undefined
      const info = DIGEST_INFO[hash]
      if (info === undefined || pssSaltLength !== undefined)
        throw new RpcError('UNIMPLEMENTED', `${hash} is not supported`)
      const padded = Buffer.concat([Buffer.from(info, 'hex'), data])
      const signature = privateEncrypt({ key: kept.key, padding: constants.RSA_PKCS1_PADDING }, padded)
      return { signature, keyFingerprint: kept.shown.fingerprint }
    },
  }
}

/** Server KeyManager: the keys are gone when the server stops, as with SPIRE's own `memory`. */
export const plugin: PluginOptions<undefined> = {
  name: 'memory-keys',
  type: 'KeyManager',
  services: [serverKeyManager(memoryKeys())],
}
