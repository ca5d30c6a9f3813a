// The key manager against software TPMs, driven as spire-agent drives it.
import { spawnSync } from 'node:child_process'
import { constants, createHash, createPublicKey, verify } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { TPM_KEYS_PLUGIN } from '../../../key-manager-tpm/plugin.ts'
import type { KeyTypeName, ManagedKey, SignRequest } from '../../../plugins/spire-sdk/index.ts'
import {
  driveAgentKeyManager,
  serveForTest,
  type TestPlugin,
  validate,
} from '../../../plugins/spire-sdk/testing/index.ts'
import { Processes } from '../../lab/processes/processes.ts'
import { Swtpm } from '../../lab/services/swtpm.ts'

const missing = ['swtpm', 'swtpm_setup'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined)
const MESSAGE = Buffer.from('message')
const publicKeyOf = ({ pkixData }: ManagedKey) =>
  createPublicKey({ key: Buffer.from(pkixData), format: 'der', type: 'spki' })

interface Fleet {
  readonly folder: string
  readonly processes: Processes
  readonly own: Swtpm
  readonly other: Swtpm
}

describe.skipIf(missing.length > 0)('the key manager (skipped without swtpm)', () => {
  let fleet: Fleet

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tpm-keys-'))
    for (const name of ['logs', 'own', 'other']) mkdirSync(join(folder, name))
    const processes = new Processes(folder, join(folder, 'logs'))
    const own = await Swtpm.start(processes, { dir: join(folder, 'own'), name: 'own' })
    const other = await Swtpm.start(processes, { dir: join(folder, 'other'), name: 'other' })
    fleet = { folder, processes, own, other }
  }, 60_000)

  afterAll(async () => {
    await fleet.processes.stopAll()
    rmSync(fleet.folder, { recursive: true, force: true })
  }, 30_000)

  function newDirectory(): string {
    return join(mkdtempSync(join(fleet.folder, 'keys-')), 'new')
  }

  async function served(directory: string, tpm: Swtpm = fleet.own): Promise<TestPlugin> {
    const plugin = await serveForTest(TPM_KEYS_PLUGIN, { hcl: `directory = "${directory}"\ntpm_path = "${tpm.path}"` })
    onTestFinished(() => plugin.close())
    return plugin
  }

  it.each<[KeyTypeName, string, SignRequest['hash'], number | undefined]>([
    ['EC_P256', 'sha256', 'SHA256', undefined],
    ['EC_P384', 'sha384', 'SHA384', undefined],
    ['RSA_2048', 'sha256', 'SHA256', undefined],
    ['RSA_2048', 'sha512', 'SHA512', 64],
    ['RSA_2048', 'sha256', 'SHA256', -1],
  ])(
    'makes a key of %s, and signs %s with it as Go would [tpm-keys:sign:verified]',
    { timeout: 60_000 },
    async (type, openssl, hash, salt) => {
      const keys = driveAgentKeyManager(await served(newDirectory()))
      const made = await keys.generateKey('agent-svid-A', type)
      const data = createHash(openssl).update(MESSAGE).digest()
      const request = { keyId: 'agent-svid-A', data, hash, ...(salt === undefined ? {} : { pssSaltLength: salt }) }
      const { signature, keyFingerprint } = await keys.signData(request)
      expect(keyFingerprint).toBe(made.fingerprint)
      const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      const key = { key: publicKeyOf(made), ...(salt === undefined ? {} : pss) }
      expect(verify(openssl, MESSAGE, key, signature)).toBe(true)
    },
  )

  it('keeps its keys over a restart of itself and of the machine [tpm-keys:life:restart]', async () => {
    const directory = newDirectory()
    const first = await served(directory)
    const made = await driveAgentKeyManager(first).generateKey('agent-svid-A', 'EC_P256')
    await first.close()
    await fleet.own.stop('power cut')
    await fleet.own.start()
    const keys = driveAgentKeyManager(await served(directory))
    expect(await keys.getPublicKeys()).toEqual([made])
    const data = createHash('sha256').update(MESSAGE).digest()
    const { signature } = await keys.signData({ keyId: 'agent-svid-A', data, hash: 'SHA256' })
    expect(verify('sha256', MESSAGE, publicKeyOf(made), signature)).toBe(true)
  })

  it('goes on when the TPM was restarted under it [tpm-keys:life:tpm-restarted]', async () => {
    const keys = driveAgentKeyManager(await served(newDirectory()))
    await keys.generateKey('agent-svid-A', 'EC_P256')
    await fleet.own.stop('shutdown')
    await fleet.own.start()
    const data = createHash('sha256').update(MESSAGE).digest()
    expect(await keys.signData({ keyId: 'agent-svid-A', data, hash: 'SHA256' })).toHaveProperty('signature')
  })

  it('is of no use to another TPM: a copied folder shows no key and signs nothing [tpm-keys:copy:useless]', async () => {
    const directory = newDirectory()
    await driveAgentKeyManager(await served(directory)).generateKey('agent-svid-A', 'EC_P256')
    const copy = newDirectory()
    cpSync(directory, copy, { recursive: true })
    const stolen = await served(copy, fleet.other)
    const keys = driveAgentKeyManager(stolen)
    expect(await keys.getPublicKeys()).toEqual([])
    expect(stolen.logs).toMatchObject([
      {
        level: 'warn',
        message: 'Key is of another TPM, or of this one before it was cleared',
        fields: { key_id: 'agent-svid-A' },
      },
    ])
    const data = createHash('sha256').update(MESSAGE).digest()
    await expect(keys.signData({ keyId: 'agent-svid-A', data, hash: 'SHA256' })).rejects.toMatchObject({
      code: 13,
      details: expect.stringContaining('INTEGRITY') as string,
    })
  })

  it('keeps nothing secret in its files, and keeps them to itself [tpm-keys:files:wrapped]', async () => {
    const directory = newDirectory()
    await driveAgentKeyManager(await served(directory)).generateKey('an id / of any kind', 'EC_P256')
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    const [name = ''] = readdirSync(directory)
    expect(name).toBe(`${Buffer.from('an id / of any kind').toString('base64url')}.tpmkey`)
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    expect(Object.keys(JSON.parse(readFileSync(join(directory, name), 'utf8')) as object)).toEqual([
      'id',
      'type',
      'public',
      'private',
    ])
  })

  it('replaces a key under its id, and leaves others alone when a file is damaged [tpm-keys:files:damaged]', async () => {
    const directory = newDirectory()
    const plugin = await served(directory)
    const keys = driveAgentKeyManager(plugin)
    const [old, kept] = [await keys.generateKey('a', 'EC_P256'), await keys.generateKey('b', 'EC_P256')]
    const fresh = await keys.generateKey('a', 'EC_P256')
    expect(fresh.fingerprint).not.toBe(old.fingerprint)
    writeFileSync(join(directory, 'YQ.tpmkey'), 'torn')
    expect(await keys.getPublicKeys()).toEqual([kept])
    expect(plugin.logs).toMatchObject([{ level: 'warn', message: 'File holds no key', fields: { file: 'YQ.tpmkey' } }])
  })

  it('says what no TPM does', async () => {
    const keys = driveAgentKeyManager(await served(newDirectory()))
    await expect(keys.generateKey('a', 'RSA_4096')).rejects.toMatchObject({
      code: 12,
      details: 'RSA_4096 keys are made by no TPM: expected EC_P256, EC_P384 or RSA_2048',
    })
    await keys.generateKey('a', 'RSA_2048')
    const data = Buffer.alloc(32)
    await expect(keys.signData({ keyId: 'a', data, hash: 'SHA256', pssSaltLength: 5 })).rejects.toMatchObject({
      code: 12,
      details: 'a salt of 5 bytes is not made by TPMs: expected 32',
    })
    await expect(keys.signData({ keyId: 'a', data, hash: 'SHA3_256' })).rejects.toMatchObject({ code: 12 })
    await expect(keys.signData({ keyId: 'none', data, hash: 'SHA256' })).rejects.toMatchObject({ code: 5 })
  })

  it('refuses a configuration whose TPM it cannot use, and validates without touching one [tpm-keys:configure:tpm]', async () => {
    const directory = newDirectory()
    const hcl = `directory = "${directory}"\ntpm_path = "/nonexistent/tpm"`
    await expect(serveForTest(TPM_KEYS_PLUGIN, { hcl })).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining('tpm /nonexistent/tpm does not exist') as string,
    })
    await using plugin = await serveForTest(TPM_KEYS_PLUGIN)
    const told = async (text: string) => (await validate(plugin, { trustDomain: 'example.org', hcl: text })).notes
    expect(await told(hcl)).toEqual([])
    expect(readdirSync(join(directory, '..'))).toEqual([])
    expect(await told('directory = "keys"')).toEqual(['directory: keys is relative, expected an absolute path'])
    expect(await told(`directory = "${directory}"\nowner_auth_file = "/none"`)).toEqual([
      expect.stringMatching(/^owner_auth_file: ENOENT/),
    ])
  })
})
