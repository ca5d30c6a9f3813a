// The local proof against quotes that a TPM emulator makes here and now, through tpm2-tools.
import { spawnSync } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ekUuid, parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { loadEkAnchors } from '../../../plugins/keylime/evidence/ek-anchors.ts'
import { judgeEkChain } from '../../../plugins/keylime/evidence/ek-chain.ts'
import { newNonce } from '../../../plugins/keylime/evidence/nonce.ts'
import { parseQuote, verifyQuote } from '../../../plugins/keylime/evidence/quote.ts'
import { registeredKeys } from '../../../plugins/keylime/evidence/registered-keys.ts'
import { nameOf } from '../../../plugins/tpm/name.ts'
import { parseTpm2bPublic } from '../../../plugins/tpm/public.ts'
import { Processes } from '../../lab/processes/processes.ts'
import { Swtpm } from '../../lab/services/swtpm.ts'
import { outcomeOf } from '../tpm/outcome.ts'

const tools = ['swtpm', 'swtpm_setup', 'tpm2_quote', 'tpm2_createak']
const missing = tools.filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)
const policy = { allowedHashAlgs: ['sha256', 'sha384', 'sha512'] } as const

interface RealNode {
  readonly name: string
  readonly tpm: Swtpm
  readonly dir: string
}

interface Attester {
  readonly record: {
    readonly agentId: string
    readonly akTpm: Buffer
    readonly ekTpm: Buffer
    readonly ekCert?: Buffer
  }
  readonly quote: (nonce: string, pubkey: string) => Promise<string>
}

let folder: string
let processes: Processes
let one: RealNode
let two: RealNode

async function startNode(name: string): Promise<RealNode> {
  const dir = join(folder, name)
  mkdirSync(dir)
  return { name, dir, tpm: await Swtpm.start(processes, { dir, name }) }
}

/** Makes EK and AK as a Keylime agent does, and quotes as it does. */
async function attesterOf({ tpm, dir }: RealNode, ekKind: 'rsa' | 'ecc', akKind: 'rsa' | 'ecc'): Promise<Attester> {
  const file = (name: string): string => join(dir, `${ekKind}-${akKind}-${name}`)
  const scheme = akKind === 'rsa' ? 'rsassa' : 'ecdsa'
  await tpm.flush()
  await tpm.run('tpm2_createek', ['-c', file('ek.ctx'), '-G', ekKind, '-u', file('ek.pub')])
  await tpm.flush()
  const akOptions = ['-C', file('ek.ctx'), '-c', file('ak.ctx'), '-G', akKind, '-g', 'sha256', '-s', scheme]
  await tpm.run('tpm2_createak', akOptions.concat('-u', file('ak.pub'), '-n', file('ak.name')))
  await tpm.flush()
  const record = { agentId: 'node-1', akTpm: readFileSync(file('ak.pub')), ekTpm: readFileSync(file('ek.pub')) }
  expect(nameOf(parseTpm2bPublic(record.akTpm))).toEqual(readFileSync(file('ak.name')))
  const quote = async (nonce: string, pubkey: string): Promise<string> => {
    const event = createHash('sha256').update(pubkey).digest('hex')
    await tpm.run('tpm2_pcrreset', ['16'])
    await tpm.run('tpm2_pcrextend', [`16:sha256=${event}`])
    const what = ['-c', file('ak.ctx'), '-l', 'sha256:16', '-q', Buffer.from(nonce).toString('hex'), '-g', 'sha256']
    await tpm.run('tpm2_quote', what.concat('-m', file('m'), '-s', file('s'), '-o', file('p')))
    await tpm.flush()
    return `r${['m', 's', 'p'].map((part) => readFileSync(file(part)).toString('base64')).join(':')}`
  }
  return { record, quote }
}

function anchorsOf(path: string) {
  const { anchors, problems } = loadEkAnchors(path)
  if (anchors === undefined) throw new Error(problems.join('; '))
  return anchors
}

describe.skipIf(missing.length > 0)(`a real TPM emulator (skipped without swtpm and tpm2-tools)`, () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pubkey = publicKey.export({ type: 'spki', format: 'pem' })

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tower-tpm-'))
    const logs = join(folder, 'logs')
    mkdirSync(logs)
    processes = new Processes(folder, logs)
    ;[one, two] = await Promise.all([startNode('one'), startNode('two')])
  }, 60_000)

  afterAll(async () => {
    await processes.stopAll()
    rmSync(folder, { recursive: true, force: true })
  }, 30_000)

  it.each([
    ['rsa', 'rsa'],
    ['rsa', 'ecc'],
    ['ecc', 'ecc'],
    ['ecc', 'rsa'],
  ] as const)(
    'proves a quote of its %s EK and %s AK, once, for its own nonce only [T14] [T62]',
    async (ek, ak) => {
      const { record, quote } = await attesterOf(one, ek, ak)
      const nonce = newNonce()
      const evidence = {
        agentId: parseAgentId('node-1'),
        hashAlg: 'sha256',
        nonce,
        quote: await quote(nonce, pubkey),
        pubkey,
      } as const
      expect(outcomeOf(() => verifyQuote(evidence, record, policy))).toBe('accepted')
      expect(outcomeOf(() => verifyQuote({ ...evidence, nonce: newNonce() }, record, policy))).toBe(
        'KEYLIME_QUOTE_REJECTED: identity quote rejected: nonce differs',
      )
      const other = pubkey.replace('BEGIN', 'BEGiN')
      expect(outcomeOf(() => verifyQuote({ ...evidence, pubkey: other }, record, policy))).toBe(
        'KEYLIME_QUOTE_REJECTED: identity quote rejected: pcr 16 does not hold the public key of the keylime agent',
      )
    },
    60_000,
  )

  it('refuses a quote signed by the AK of another TPM, and an AK shown under another EK [T14]', async () => {
    const [mine, theirs] = [await attesterOf(one, 'rsa', 'rsa'), await attesterOf(two, 'rsa', 'rsa')]
    const nonce = newNonce()
    const evidence = {
      agentId: parseAgentId('node-1'),
      hashAlg: 'sha256',
      nonce,
      quote: await theirs.quote(nonce, pubkey),
      pubkey,
    } as const
    expect(outcomeOf(() => verifyQuote(evidence, mine.record, policy))).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: signature is not by the registered AK',
    )
    const mixed = { ...mine.record, akTpm: theirs.record.akTpm }
    expect(outcomeOf(() => verifyQuote(evidence, mixed, policy))).toBe(
      'KEYLIME_QUOTE_REJECTED: identity quote rejected: signer is not the registered AK under the registered EK',
    )
  }, 60_000)

  it('finds the maker of its EK certificate, and refuses that of another maker [T13] [T15]', async () => {
    const { record } = await attesterOf(one, 'rsa', 'rsa')
    const certFile = join(one.dir, 'ek.crt')
    await one.tpm.run('tpm2_nvread', ['0x1c00002', '-C', 'o', '-o', certFile])
    const ekCert = readFileSync(certFile)
    const keys = registeredKeys({ ...record, ekCert })
    expect(keys.ekUuid).toBe(ekUuid(keys.ek.pem))

    // swtpm's local CA keeps its intermediate beside the root.
    const judge = (anchors: string) =>
      judgeEkChain(ekCert, keys.ek, anchorsOf(anchors), { now: new Date(), decide: true })
    expect(judge(join(one.dir, 'ca'))).toMatchObject({ caFingerprints: { length: 2 } })
    expect(judge(join(one.dir, 'ca', 'issuercert.pem'))).toMatchObject({ caFingerprints: { length: 1 } })
    expect(judge(join(two.dir, 'ca'))).toMatchObject({
      fault: 'issuer-unknown',
      reason: expect.stringContaining('CN=swtpm-localca') as string,
    })
  }, 60_000)

  it('leaves every unused byte of the PCR values zero, as the strict reader expects', async () => {
    const { quote } = await attesterOf(two, 'rsa', 'ecc')
    const nonce = newNonce()
    expect(parseQuote(await quote(nonce, pubkey)).pcrs.selection).toEqual({ hashAlg: 'sha256', pcrs: [16] })
  }, 60_000)
})
