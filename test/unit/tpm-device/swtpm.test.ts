// The room against swtpm, beside tpm2-tools: what each makes, the other reads.
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes, verify } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getProperty, PROPERTY } from '../../../plugins/tpm/commands/capability.ts'
import { byPassword } from '../../../plugins/tpm/commands/command.ts'
import {
  activateCredential,
  akTemplate,
  create,
  FIRST_HANDLE,
  flushContext,
  getHandles,
  load,
  quote,
  TpmResponseError,
  type WrappedKey,
} from '../../../plugins/tpm/commands/index.ts'
import {
  makeCredential,
  nameOf,
  parseAttest,
  parseSignature,
  parseTpm2bPublic,
  verifySignature,
} from '../../../plugins/tpm/index.ts'
import { TpmDeviceError } from '../../../plugins/tpm-device/device-error.ts'
import { type EndorsementKey, findEndorsementKey, withEndorsementKey } from '../../../plugins/tpm-device/endorsement.ts'
import { readNvIndex } from '../../../plugins/tpm-device/nv.ts'
import { quotePcrs, readPcrs } from '../../../plugins/tpm-device/quote-pcrs.ts'
import { loadSigningKey, makeSigningKey, openStorageKey, signDigest } from '../../../plugins/tpm-device/signing-keys.ts'
import { Tpm } from '../../../plugins/tpm-device/tpm.ts'
import { Processes } from '../../lab/processes/processes.ts'
import { Swtpm } from '../../lab/services/swtpm.ts'

const tools = ['swtpm', 'swtpm_setup', 'tpm2_quote', 'tpm2_createak']
const missing = tools.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)

async function outcome(run: Promise<unknown>): Promise<string> {
  try {
    await run
    return 'done'
  } catch (error) {
    if (error instanceof TpmDeviceError) return `${error.code}: ${error.message}`
    return error instanceof TpmResponseError ? error.message : `untyped ${String(error)}`
  }
}

describe.skipIf(missing.length > 0)('a TPM emulator (skipped without swtpm and tpm2-tools)', () => {
  let folder: string
  let processes: Processes
  let emulator: Swtpm
  let tpm: Tpm
  let ek: EndorsementKey
  let ak: WrappedKey & { readonly handle: number }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tower-tpm-device-'))
    const logs = join(folder, 'logs')
    mkdirSync(logs)
    processes = new Processes(folder, logs)
    emulator = await Swtpm.start(processes, { dir: folder })
    tpm = await Tpm.open({ path: emulator.path, timeoutMs: 15_000 })
    const found = await findEndorsementKey(tpm, ({ type }) => type === 'rsa')
    if (found === undefined) throw new Error('no RSA EK')
    ek = found
    const wrapped = await withEndorsementKey(tpm, ek, (authorization) =>
      tpm.run(create(ek.handle, akTemplate(), authorization)),
    )
    const loaded = await withEndorsementKey(tpm, ek, (authorization) =>
      tpm.run(load(ek.handle, wrapped, authorization)),
    )
    ak = { ...wrapped, handle: loaded.handle }
  }, 60_000)

  afterAll(async () => {
    await tpm.close()
    await processes.stopAll()
    rmSync(folder, { recursive: true, force: true })
  }, 30_000)

  it('finds the persistent EK, and makes the same one from the template where none is persistent', async () => {
    expect(ek.isTransient).toBe(false)
    expect(ek.handle).toBe(0x81010001)
    await emulator.run('tpm2_evictcontrol', ['-C', 'o', '-c', '0x81010001'])
    const made = await findEndorsementKey(tpm, ({ pem }) => pem === ek.key.pem)
    expect(made).toMatchObject({ isTransient: true, publicArea: ek.publicArea })
    const file = join(folder, 'ek.ctx')
    await tpm.run(flushContext(made?.handle ?? 0))
    await emulator.run('tpm2_createek', ['-c', file, '-G', 'rsa'])
    await emulator.run('tpm2_evictcontrol', ['-C', 'o', '-c', file, '0x81010001'])
    await emulator.run('tpm2_flushcontext', ['-t']).catch(() => undefined)
    const again = await findEndorsementKey(tpm, ({ pem }) => pem === ek.key.pem)
    expect(again).toMatchObject({ isTransient: false, handle: 0x81010001 })
    const reloaded = await withEndorsementKey(tpm, ek, (authorization) => tpm.run(load(ek.handle, ak, authorization)))
    ak = { ...ak, handle: reloaded.handle }
  })

  it("finds no key that is another TPM's, and leaves nothing loaded for having looked", async () => {
    const before = await tpm.run(getHandles(FIRST_HANDLE.transient))
    expect(await findEndorsementKey(tpm, () => false)).toBeUndefined()
    expect(await tpm.run(getHandles(FIRST_HANDLE.transient))).toEqual(before)
  })

  it('uses an EK of the high range, whose own password does instead of the policy', async () => {
    const high = await findEndorsementKey(tpm, (key) => key.type === 'ecc' && key.curve === 'P-384')
    if (high === undefined) throw new Error('swtpm_setup made no P-384 EK')
    const wrapped = await withEndorsementKey(tpm, high, (authorization) =>
      tpm.run(create(high.handle, akTemplate(), authorization)),
    )
    const { handle } = await withEndorsementKey(tpm, high, (authorization) =>
      tpm.run(load(high.handle, wrapped, authorization)),
    )
    const secret = randomBytes(32)
    const sealed = makeCredential(high.key, nameOf(parseTpm2bPublic(wrapped.publicArea)), secret)
    const activated = withEndorsementKey(tpm, high, (authorization) =>
      tpm.run(activateCredential(handle, high.handle, sealed, authorization)),
    )
    expect(await activated).toEqual(secret)
    await tpm.run(flushContext(handle))
  })

  it('quotes PCRs that agree with tpm2-tools, however many, and the signature verifies', async () => {
    for (const pcrs of [[7], [0, 2, 4, 7, 11], Array.from({ length: 24 }, (_, pcr) => pcr)]) {
      const extraData = randomBytes(33)
      const made = await quotePcrs(tpm, ak.handle, extraData, { hashAlg: 'sha256', pcrs })
      expect(verifySignature(parseTpm2bPublic(ak.publicArea), parseSignature(made.signature), made.attest)).toBe(true)
      expect(parseAttest(made.attest).extraData).toEqual(extraData)
      expect([...made.values.keys()]).toEqual(pcrs)
      expect(made.values.get(7)?.toString('hex')).toBe(await emulator.readPcr(7))
    }
    await emulator.extendPcr(23, 'ab'.repeat(32))
    const { values } = await quotePcrs(tpm, ak.handle, Buffer.alloc(0), { hashAlg: 'sha256', pcrs: [23] })
    expect(values.get(23)?.toString('hex')).toBe(await emulator.readPcr(23))
  })

  it('names a bank that is not active', async () => {
    expect(await outcome(readPcrs(tpm, { hashAlg: 'sha384', pcrs: [0, 7] }))).toBe(
      `TPM_BANK_INACTIVE: tpm ${emulator.path} keeps no sha384 bank for PCR 0, 7: choose another bank, or activate it (tpm2_pcrallocate)`,
    )
  })

  it('activates what was sealed for its key, by us and by tpm2-tools, and refuses another name', async () => {
    const name = nameOf(parseTpm2bPublic(ak.publicArea))
    const activate = (sealed: ReturnType<typeof makeCredential>): Promise<Buffer> =>
      withEndorsementKey(tpm, ek, (authorization) =>
        tpm.run(activateCredential(ak.handle, ek.handle, sealed, authorization)),
      )
    const secret = randomBytes(32)
    expect(await activate(makeCredential(ek.key, name, secret))).toEqual(secret)

    const [pub, given, out] = ['ek.pub', 'secret', 'blob'].map((file) => join(folder, file))
    if (pub === undefined || given === undefined || out === undefined) throw new Error('paths')
    writeFileSync(pub, ek.publicArea)
    writeFileSync(given, secret)
    await emulator.run('tpm2_makecredential', ['-u', pub, '-s', given, '-n', name.toString('hex'), '-o', out])
    const blob = readFileSync(out).subarray(8)
    const end = 2 + blob.readUInt16BE()
    expect(await activate({ credential: blob.subarray(0, end), secret: blob.subarray(end) })).toEqual(secret)

    const other = Buffer.from(name)
    other[5] = (other[5] ?? 0) ^ 1
    expect(await outcome(activate(makeCredential(ek.key, other, secret)))).toBe(
      'tpm command ActivateCredential failed with TPM_RC_INTEGRITY (0x1df)',
    )
    expect(await tpm.run(getHandles(FIRST_HANDLE.loadedSession))).toEqual([])
  })

  it('reads the EK certificate that the maker left', async () => {
    const certificate = await readNvIndex(tpm, 0x01c00002)
    expect(certificate.subarray(0, 2).toString('hex')).toBe('3082')
    expect(await outcome(readNvIndex(tpm, 0x01c0ffff))).toContain('TPM_RC_HANDLE')
    expect(await tpm.run(getProperty(PROPERTY.manufacturer))).toBe(0x49424d00)
  })

  it.each([
    ['ec-p256', 'ecdsa', 'sha256'],
    ['ec-p384', 'ecdsa', 'sha384'],
    ['rsa-2048', 'rsassa', 'sha256'],
    ['rsa-2048', 'rsapss', 'sha256'],
    ['rsa-2048', 'rsassa', 'sha512'],
  ] as const)(
    'signs with a %s key of its own by %s and %s, wrapped outside between uses',
    async (type, scheme, hash) => {
      const storage = await openStorageKey(tpm)
      const wrapped = await makeSigningKey(tpm, storage.handle, type)
      const handle = await loadSigningKey(tpm, storage.handle, wrapped)
      const message = randomBytes(100)
      const digest = createHash(hash).update(message).digest()
      const signature = await signDigest(tpm, handle, digest, scheme, hash)
      const { key } = parseTpm2bPublic(wrapped.publicArea)
      const verifying = scheme === 'rsapss' ? { key, padding: 6 } : key
      expect(verify(hash, message, verifying, signature)).toBe(true)
      await tpm.run(flushContext(handle))
      await tpm.run(flushContext(storage.handle))
      const again = await openStorageKey(tpm)
      expect(again.publicArea).toEqual(storage.publicArea)
      const reloaded = await loadSigningKey(tpm, again.handle, wrapped)
      expect(verify(hash, message, verifying, await signDigest(tpm, reloaded, digest, scheme, hash))).toBe(true)
      await tpm.run(flushContext(reloaded))
      const foreign = Buffer.from(wrapped.privateArea)
      foreign[20] = (foreign[20] ?? 0) ^ 1
      expect(await outcome(loadSigningKey(tpm, again.handle, { ...wrapped, privateArea: foreign }))).toContain(
        'tpm command Load failed with TPM_RC_INTEGRITY (0x1df)',
      )
      await tpm.run(flushContext(again.handle))
    },
  )

  it('needs the password of a hierarchy that has one', async () => {
    await emulator.run('tpm2_changeauth', ['-c', 'e', 'hush'])
    try {
      const used = (secret?: Buffer): Promise<string> =>
        outcome(
          withEndorsementKey(tpm, ek, (by) => tpm.run(load(ek.handle, ak, by)), secret).then(({ handle }) =>
            tpm.run(flushContext(handle)),
          ),
        )
      expect(await used()).toBe('tpm command PolicySecret failed with TPM_RC_BAD_AUTH (0x9a2)')
      expect(await used(Buffer.from('hush'))).toBe('done')
      expect(await outcome(findEndorsementKey(tpm, () => false))).toBe(
        'tpm command CreatePrimary failed with TPM_RC_BAD_AUTH (0x9a2)',
      )
      expect(byPassword(Buffer.from('hush')).secret.toString()).toBe('hush')
      expect(await tpm.run(getHandles(FIRST_HANDLE.loadedSession))).toEqual([])
    } finally {
      await emulator.run('tpm2_changeauth', ['-c', 'e', '-p', 'hush', ''])
    }
  })

  it('serves two users at once, and what one has loaded goes with its connection', async () => {
    const other = await Tpm.open({ path: emulator.path, timeoutMs: 15_000 })
    const { handle } = await withEndorsementKey(other, ek, (by) => other.run(load(ek.handle, ak, by)))
    const rounds = Array.from({ length: 20 }, async (_, round) => {
      const extraData = randomBytes(33)
      const [user, key] = round % 2 === 0 ? ([tpm, ak.handle] as const) : ([other, handle] as const)
      const { attest } = await user.run(quote(key, extraData, { hashAlg: 'sha256', pcrs: [7] }))
      return parseAttest(attest).extraData.equals(extraData)
    })
    expect(await Promise.all(rounds)).toEqual(rounds.map(() => true))
    await other.close()
    await expect.poll(() => tpm.run(getHandles(FIRST_HANDLE.transient))).toEqual([ak.handle])
  })
})
