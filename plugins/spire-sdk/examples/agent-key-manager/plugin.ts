import { execFile } from 'node:child_process'
import { createHash, createPublicKey } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  agentKeyManager,
  defineSchema,
  hclConfig,
  type KeyManager,
  type KeyTypeName,
  type ManagedKey,
  type PluginOptions,
  RpcError,
} from '@tower-of-omens/spire-sdk'

const run = promisify(execFile)

const schema = defineSchema({
  folder: { kind: 'string', required: true, help: 'Folder for the keys, for the agent alone.' },
})

interface Config {
  readonly folder: string
}

const GENERATE: Readonly<Record<KeyTypeName, readonly string[]>> = {
  EC_P256: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  EC_P384: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  RSA_2048: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  RSA_4096: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
}

/** Keys that the program `openssl` makes and uses; a key store or an HSM would take its place. */
const keys: KeyManager<Config> = {
  async generateKey(id, type, { folder }) {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const file = fileOf(folder, id, type)
    await run('openssl', ['genpkey', ...GENERATE[type], '-out', `${file}.new`])
    await rename(`${file}.new`, file)
    // An id has one key: what it had under other types goes when the new one is whole.
    const others = Object.keys(GENERATE)
      .filter(isKeyType)
      .filter((other) => other !== type)
    await Promise.all(others.map((other) => rm(fileOf(folder, id, other), { force: true })))
    return shown(id, type, file)
  },
  async getPublicKey(id, { folder }) {
    return (await all(folder)).find((key) => key.id === id)
  },
  getPublicKeys: ({ folder }) => all(folder),
  async signData({ keyId, data, hash, pssSaltLength }, { folder }) {
    const key = (await all(folder)).find(({ id }) => id === keyId)
    if (key === undefined) return undefined
    if (pssSaltLength !== undefined) throw new RpcError('UNIMPLEMENTED', 'RSA-PSS is not supported')
    const args = [
      'pkeyutl',
      '-sign',
      '-inkey',
      fileOf(folder, key.id, key.type),
      '-pkeyopt',
      `digest:${hash.toLowerCase()}`,
    ]
    const signing = run('openssl', args, { encoding: 'buffer' })
    signing.child.stdin?.end(data)
    return { signature: (await signing).stdout, keyFingerprint: key.fingerprint }
  },
}

/** Ids may hold any character, file names may not. */
function fileOf(folder: string, id: string, type: KeyTypeName): string {
  return join(folder, `${Buffer.from(id).toString('base64url')}.${type}.pem`)
}

async function all(folder: string): Promise<readonly ManagedKey[]> {
  const names = await access(folder).then(
    () => readdir(folder),
    () => [],
  )
  const found = names.flatMap((name) => {
    const [, id = '', type = ''] = /^([A-Za-z0-9_-]+)\.([A-Z0-9_]+)\.pem$/.exec(name) ?? []
    return isKeyType(type) ? [shown(Buffer.from(id, 'base64url').toString(), type, join(folder, name))] : []
  })
  return Promise.all(found)
}

function isKeyType(name: string): name is KeyTypeName {
  return name in GENERATE
}

async function shown(id: string, type: KeyTypeName, file: string): Promise<ManagedKey> {
  const pkixData = createPublicKey(await readFile(file)).export({ type: 'spki', format: 'der' })
  return { id, type, pkixData, fingerprint: createHash('sha256').update(pkixData).digest('hex') }
}

/** Agent KeyManager: keys in files, made and used by `openssl`. */
export const plugin: PluginOptions<Config> = {
  name: 'openssl-keys',
  type: 'KeyManager',
  config: hclConfig(schema, ({ folder }) => ({ folder })),
  services: [agentKeyManager(keys)],
}
