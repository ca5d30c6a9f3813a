// Evidence from a TPM emulator that holds a Keylime agent's key; and every way the TPM, the file or the user can fail.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TpmEvidence, type TpmEvidenceOptions } from '../../../../agent-attestor/evidence/tpm-evidence.ts'
import { toRpcError } from '../../../../agent-attestor/status.ts'
import { ekUuid, parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { boundNonce } from '../../../../plugins/keylime/evidence/bound-nonce.ts'
import { newNonce } from '../../../../plugins/keylime/evidence/nonce.ts'
import { parseQuote, verifyQuote } from '../../../../plugins/keylime/evidence/quote.ts'
import { registeredKeys } from '../../../../plugins/keylime/evidence/registered-keys.ts'
import type { TpmTask } from '../../../../plugins/keylime/evidence/tpm-messages.ts'
import { RpcError } from '../../../../plugins/spire-sdk/index.ts'
import { akTemplate, create, FIRST_HANDLE, getHandles } from '../../../../plugins/tpm/commands/index.ts'
import { makeCredential, nameOf, parseTpm2bPublic, verifySignature } from '../../../../plugins/tpm/index.ts'
import {
  type EndorsementKey,
  findEndorsementKey,
  Tpm,
  withEndorsementKey,
} from '../../../../plugins/tpm-device/index.ts'
import { type KeyFileParts, keyFileText, writeKeyFile } from '../../../fakes/key-file.ts'
import { framed, type Scripted, startScriptedTpm } from '../../../fakes/scripted-tpm.ts'
import { Processes } from '../../../lab/processes/processes.ts'
import { Swtpm } from '../../../lab/services/swtpm.ts'
import { newRecordingLog } from '../recording-log.ts'

const tools = ['swtpm', 'swtpm_setup', 'tpm2_pcrread']
const missing = tools.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)
const QUOTE = 0x158
const LOAD = 0x157
const ACTIVATE = 0x147
const POLICY_SECRET = 0x151
const PCR_READ = 0x17e
const { signal } = new AbortController()

/** What SPIRE would be told. */
async function told(run: Promise<unknown>): Promise<string> {
  try {
    await run
    return 'done'
  } catch (error) {
    const known = error instanceof RpcError ? error : toRpcError(error)
    return known === undefined ? `untold ${String(error)}` : `${known.status} ${known.message}`
  }
}

describe.skipIf(missing.length > 0)('TpmEvidence (skipped without swtpm and tpm2-tools)', () => {
  let folder: string
  let processes: Processes
  let emulator: Swtpm
  let tpm: Tpm
  let ek: EndorsementKey
  let keys: KeyFileParts
  let keyFile: string
  const open: { close(): Promise<void> }[] = []

  async function newKeys(): Promise<KeyFileParts> {
    const made = await withEndorsementKey(tpm, ek, (by) => tpm.run(create(ek.handle, akTemplate(), by)))
    return { ...made, ekHash: ekUuid(ek.key.pem) }
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tower-tpm-evidence-'))
    const logs = join(folder, 'logs')
    mkdirSync(logs)
    processes = new Processes(folder, logs)
    emulator = await Swtpm.start(processes, { dir: folder })
    await connect()
    keys = await newKeys()
    keyFile = join(folder, 'agent_data.json')
  }, 60_000)

  async function connect(): Promise<void> {
    tpm = await Tpm.open({ path: emulator.path, timeoutMs: 15_000 })
    const found = await findEndorsementKey(tpm, ({ type }) => type === 'rsa')
    if (found === undefined) throw new Error('no EK')
    ek = found
  }

  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one.close()
  })

  afterAll(async () => {
    await tpm.close()
    await processes.stopAll()
    rmSync(folder, { recursive: true, force: true })
  }, 30_000)

  function start(changes: Partial<TpmEvidenceOptions> & { readonly path?: string; readonly timeoutMs?: number } = {}) {
    const { path = emulator.path, timeoutMs = 15_000, ...rest } = changes
    writeKeyFile(keyFile, keys)
    const { log, lines } = newRecordingLog()
    const options = { tpm: { path, timeoutMs }, keyFile, trustDomain: 'example.org', pinnedId: undefined, log, ...rest }
    const evidence = new TpmEvidence(options)
    open.push(evidence)
    return { evidence, lines }
  }

  /** A TPM whose answers to some commands are others than the emulator's. */
  async function tampered(answers: (code: number, count: number) => Scripted): Promise<string> {
    const counts = new Map<number, number>()
    const scripted = await startScriptedTpm((_index, code) => {
      const count = counts.get(code) ?? 0
      counts.set(code, count + 1)
      return answers(code, count)
    }, emulator.path)
    open.push(scripted)
    return scripted.path
  }

  function sealFor(parts: KeyFileParts, secret: Buffer, pcrs: readonly number[] = [0, 7]): TpmTask {
    const sealed = makeCredential(ek.key, nameOf(parseTpm2bPublic(parts.publicArea)), secret)
    return { bank: 'sha256', pcrs, ...sealed }
  }

  async function attested(evidence: TpmEvidence, secret = randomBytes(32)): Promise<string> {
    const { keys: claimed } = await evidence.claim(signal)
    const name = nameOf(parseTpm2bPublic(claimed?.ak ?? Buffer.alloc(0)))
    const task = { bank: 'sha256', pcrs: [7], ...makeCredential(ek.key, name, secret) } as const
    return (await evidence.answer({ nonce: 'N'.repeat(32), task }, signal)).quote
  }

  it('claims the ID of the EK with both keys, and its quote binds all that was asked [tpm:evidence:bound]', async () => {
    const { evidence, lines } = start()
    const claim = await evidence.claim(signal)
    expect(claim).toEqual({ agentId: keys.ekHash, hashAlg: 'sha256', keys: { ek: ek.publicArea, ak: keys.publicArea } })
    const nonce = newNonce()
    const secret = randomBytes(32)
    const pcrs = [0, 2, 4, 7, 8, 9, 11, 12, 13, 14]
    const { quote, pubkey } = await evidence.answer({ nonce, task: sealFor(keys, secret, pcrs) }, signal)
    expect(pubkey).toBeUndefined()
    const { attest, attestBytes, signature, pcrs: values } = parseQuote(quote)
    const ak = parseTpm2bPublic(keys.publicArea)
    expect(verifySignature(ak, signature, attestBytes)).toBe(true)
    const binding = { trustDomain: 'example.org', nonce, agentId: keys.ekHash, bank: 'sha256', pcrs, secret } as const
    expect(attest.extraData).toEqual(boundNonce(binding))
    expect(attest.selections).toEqual([{ hashAlg: 'sha256', pcrs }])
    expect(values.values[3]?.toString('hex')).toBe(await emulator.readPcr(7))
    const record = { agentId: keys.ekHash, akTpm: keys.publicArea, ekTpm: ek.publicArea }
    expect(attest.qualifiedSigner).toEqual(registeredKeys(record).qualifiedSigner)
    expect(lines).toEqual([])
  })

  it('gives an older server half the quote it takes, over PCR 16 as it stands, and says so once [tpm:evidence:old-server]', async () => {
    const { evidence, lines } = start({ pinnedId: parseAgentId('node-7') })
    const { agentId } = await evidence.claim(signal)
    expect(agentId).toBe('node-7')
    const before = await emulator.readPcr(16)
    for (const nonce of [newNonce(), newNonce()]) {
      const { quote } = await evidence.answer({ nonce }, signal)
      const record = { agentId, akTpm: keys.publicArea, ekTpm: ek.publicArea }
      verifyQuote({ agentId, hashAlg: 'sha256', nonce, quote }, record, { allowedHashAlgs: ['sha256'] })
    }
    expect(await emulator.readPcr(16)).toBe(before)
    expect(lines).toEqual([
      'warn server half is an older one: it takes a plain quote, which another host could relay; update it {"evidence":"tpm"}',
    ])
  })

  it('keeps one key loaded from attestation to attestation, and takes it out when it is closed [tpm:evidence:no-leak]', async () => {
    const before = await tpm.run(getHandles(FIRST_HANDLE.transient))
    const { evidence } = start()
    for (let round = 0; round < 5; round++) await attested(evidence)
    expect(await tpm.run(getHandles(FIRST_HANDLE.transient))).toHaveLength(before.length + 1)
    expect(await tpm.run(getHandles(FIRST_HANDLE.loadedSession))).toEqual([])
    await evidence.close()
    expect(await tpm.run(getHandles(FIRST_HANDLE.transient))).toEqual(before)
  })

  it('quotes for many attestations at once', async () => {
    const { evidence } = start()
    expect(await Promise.all(Array.from({ length: 20 }, () => attested(evidence)))).toHaveLength(20)
  })

  it('takes up the key that the Keylime agent wrote anew [tpm:evidence:key-file]', async () => {
    const { evidence } = start()
    await evidence.claim(signal)
    const other = await newKeys()
    writeKeyFile(keyFile, other)
    utimesSync(keyFile, new Date(), new Date(Date.now() + 5000))
    expect((await evidence.claim(signal)).keys?.ak).toEqual(other.publicArea)
    await expect(attested(evidence)).resolves.toMatch(/^r/)
  })

  it('reads a file again that is being written [tpm:evidence:key-file]', async () => {
    const { evidence } = start()
    writeFileSync(keyFile, keyFileText(keys).slice(0, 500))
    setTimeout(() => writeKeyFile(keyFile, keys), 120)
    expect(await told(evidence.claim(signal))).toBe('done')
  })

  it('goes on, silently, when the TPM lost what was loaded [tpm:evidence:lost]', async () => {
    const { evidence, lines } = start()
    await attested(evidence)
    await tpm.close()
    await emulator.reboot()
    await connect()
    await expect(attested(evidence)).resolves.toMatch(/^r/)
    expect(lines).toEqual([])
  })

  it('quotes again when a PCR moved between quote and reading, and gives up after five times [tpm:evidence:pcr-moved]', async () => {
    const moved = framed(
      0,
      Buffer.concat([Buffer.from('0000000100000001000b03800000000000010020', 'hex'), Buffer.alloc(32, 9)]),
    )
    const twice = start({ path: await tampered((code, count) => (code === PCR_READ && count < 2 ? moved : 'pass')) })
    await expect(attested(twice.evidence)).resolves.toMatch(/^r/)
    const always = start({ path: await tampered((code) => (code === PCR_READ ? moved : 'pass')) })
    expect(await told(attested(always.evidence))).toMatch(
      /^UNAVAILABLE PCRs 7 of tpm \S+ changed during each of 5 quotes: something extends one of them all the time/,
    )
  })

  it.each<[string, number, number, RegExp]>([
    [
      'is locked out',
      QUOTE,
      0x921,
      /^FAILED_PRECONDITION tpm command Quote failed with TPM_RC_LOCKOUT \(0x921\): it is locked after too many wrong passwords: wait .*tpm2_dictionarylockout -c \[KL-TPM-REFUSES\]$/,
    ],
    [
      'wants a password of the endorsement hierarchy',
      POLICY_SECRET,
      0x98e,
      /^FAILED_PRECONDITION tpm command PolicySecret failed with TPM_RC_AUTH_FAIL \(0x98e\): the endorsement hierarchy has a password, .* tpm_endorsement_auth_file \[KL-TPM-REFUSES\]$/,
    ],
    [
      'wants another password',
      POLICY_SECRET,
      0x9a2,
      /^FAILED_PRECONDITION tpm command PolicySecret failed with TPM_RC_BAD_AUTH \(0x9a2\): the endorsement hierarchy has a password/,
    ],
    [
      'does not take the key of the file',
      LOAD,
      0x1df,
      /^FAILED_PRECONDITION tpm \S+ does not take the key of \S+agent_data\.json: the TPM was cleared, or the file is another machine's: delete it, restart the keylime agent and enrol the node again \[KL-NODE-KEY-OTHER-TPM\]$/,
    ],
    [
      'has no free slot',
      LOAD,
      0x902,
      /^UNAVAILABLE tpm command Load failed with TPM_RC_OBJECT_MEMORY \(0x902\): it has no free slot .* set tpm_path to \/dev\/tpmrm0/,
    ],
    [
      'cannot open the credential',
      ACTIVATE,
      0x1df,
      /^UNAVAILABLE tpm \S+ cannot open the credential of the server half: the keylime agent made another key since this attestation began; it begins anew \[KL-NODE-KEY-RENEWED\]$/,
    ],
    [
      'refuses in an unexpected way',
      QUOTE,
      0x101,
      /^INTERNAL tpm command Quote failed with 0x101: this is not expected of an attestation/,
    ],
    [
      'is busy for longer than it is asked again',
      QUOTE,
      0x922,
      /^UNAVAILABLE tpm command Quote failed with TPM_RC_RETRY \(0x922\): it has been busy for four seconds \[KL-TPM-UNAVAILABLE\]$/,
    ],
  ])('says what to do when the TPM %s [tpm:evidence:failures]', async (_title, command, code, expected) => {
    const { evidence } = start({ path: await tampered((asked) => (asked === command ? framed(code) : 'pass')) })
    expect(await told(attested(evidence))).toMatch(expected)
  })

  it('answers at the limit when the TPM hangs, and at once after that [tpm:evidence:failures]', async () => {
    const path = await tampered((code) => (code === QUOTE ? 'silence' : 'pass'))
    const { evidence } = start({ path, timeoutMs: 300 })
    const expected = /^UNAVAILABLE tpm \S+ has not answered Quote within 300 ms: see dmesg, and who else keeps it busy/
    expect(await told(attested(evidence))).toMatch(expected)
    expect(await told(evidence.answer({ nonce: newNonce() }, signal))).toMatch(expected)
  })

  it('says when the answer is none', async () => {
    const { evidence } = start({ path: await tampered((code) => (code === QUOTE ? framed(0) : 'pass')) })
    expect(await told(attested(evidence))).toMatch(
      /^INTERNAL tpm answered what does not parse: response to Quote tag.* \[KL-TPM-UNEXPECTED\]$/,
    )
  })

  it.each<[string, (file: string) => void, RegExp]>([
    [
      'is not there yet',
      (file) => rmSync(file),
      /^FAILED_PRECONDITION keylime agent's key file \S+ does not exist: the keylime agent has not started yet, or its agent_data_path is another \(keylime_agent_data\) \[KL-NODE-KEY-FILE\]$/,
    ],
    [
      'is empty',
      (file) => writeFileSync(file, ''),
      /^FAILED_PRECONDITION keylime agent's key file \S+ is empty: restart the keylime agent, which writes it anew \[KL-NODE-KEY-FILE\]$/,
    ],
    [
      'is cut',
      (file) => writeFileSync(file, '{"ak_public":[1'),
      /^FAILED_PRECONDITION keylime agent's key file \S+: it is not the file of a keylime agent's attestation key: .*; restart the keylime agent, which writes it anew \[KL-NODE-KEY-FILE\]$/,
    ],
    [
      'is of another TPM',
      (file) => writeKeyFile(file, { ...keys, ekHash: 'ab'.repeat(32) }),
      /^FAILED_PRECONDITION keylime agent's key file \S+ is for endorsement key (?:ab){32}, which tpm \S+ does not have: if the TPM was cleared or the file copied, delete it, restart the keylime agent and enrol the node again/,
    ],
    [
      'holds a key that another TPM wrapped',
      (file) => writeKeyFile(file, { ...keys, privateArea: Buffer.from(keys.privateArea).fill(1, 40, 50) }),
      /^FAILED_PRECONDITION tpm \S+ does not take the key of /,
    ],
  ])('says what to do when the key file %s [tpm:evidence:failures]', async (_title, change, expected) => {
    const { evidence } = start()
    change(keyFile)
    expect(await told(evidence.claim(signal))).toMatch(expected)
    writeKeyFile(keyFile, keys)
    expect(await told(evidence.claim(signal))).toBe('done')
  })

  it('says what to do when there is no such TPM [tpm:evidence:failures]', async () => {
    const { evidence } = start({ path: join(folder, 'none') })
    expect(await told(evidence.claim(signal))).toMatch(
      /^UNAVAILABLE tpm \S+none does not exist: look with "ls -l \/dev\/tpm\*".*PrivateDevices=yes/,
    )
  })

  it('says what to do when the challenge names a bank the TPM does not keep', async () => {
    const { evidence } = start()
    const task = { ...sealFor(keys, randomBytes(32)), bank: 'sha384' } as const
    expect(await told(evidence.answer({ nonce: newNonce(), task }, signal))).toMatch(
      /^(?:FAILED_PRECONDITION tpm \S+ keeps no sha384 bank for PCR 0, 7)/,
    )
  })

  it('uses the password of the endorsement hierarchy [tpm:evidence:endorsement-password]', async () => {
    await emulator.run('tpm2_changeauth', ['-c', 'e', 'hush'])
    try {
      expect(await told(attested(start().evidence))).toMatch(
        /^FAILED_PRECONDITION .*tpm_endorsement_auth_file \[KL-TPM-REFUSES\]$/,
      )
      const { evidence, lines } = start({ endorsementSecret: Buffer.from('hush') })
      await expect(attested(evidence)).resolves.toMatch(/^r/)
      expect(lines).toEqual([])
    } finally {
      await emulator.run('tpm2_changeauth', ['-c', 'e', '-p', 'hush', ''])
    }
  })

  it('ends with the call, not with the TPM', async () => {
    const { evidence } = start({ path: await tampered((code) => (code === LOAD ? 'silence' : 'pass')), timeoutMs: 800 })
    const call = new AbortController()
    const claim = told(evidence.claim(call.signal))
    call.abort()
    expect(await claim).toBe('CANCELLED spire agent gave up [KL-CANCELLED]')
  })
})
