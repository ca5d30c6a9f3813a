/**
 * The stand-in agent's TPM: EK and AK by handle, activation, and quotes, each by tpm2-tools, one after the other.
 *
 * @module
 */
import { createHash, createPublicKey } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ekUuid } from '@tower-of-omens/keylime'
import { runCommand } from '../processes/commands.ts'
import { keyFileText } from './key-file.ts'

/** Persistent handles: swtpm_setup puts the RSA EK at the first; the AK goes to a free one of the owner's range. */
const EK_HANDLE = '0x81010001'
const AK_HANDLE = '0x81018000'
/** NV index of the RSA 2048 EK certificate, by the TCG EK Credential Profile 2.2.1.4. */
const EK_CERTIFICATE_INDEX = '0x01c00002'
const DATA_PCR = 16

/** Public parts of the TPM's keys, base64 as the registrar wants them. */
export interface TpmIdentity {
  readonly ekTpm: string
  readonly ekCert: string
  readonly akTpm: string
  /** PEM of the EK's public key: its SHA-256 is the agent's uuid `hash_ek`. */
  readonly ekPem: string
}

/** One software TPM as the stand-in agent uses it. */
export interface StandInTpm {
  readonly akHandle: number
  /** Reads EK and AK; creates the AK when the TPM has none. */
  identity(): Promise<TpmIdentity>
  /** Decrypts the registrar's challenge: proof that EK and AK live in one TPM. */
  activate(blob: Buffer): Promise<Buffer>
  /** Quotes PCR 16, extended with the hash of `publicKeyPem`, and the PCRs of `mask`; in Keylime's string form. */
  quote(nonce: string, mask: number, publicKeyPem: string): Promise<string>
}

/**
 * Opens the TPM.
 *
 * @param dir Private folder for the files tpm2-tools exchange.
 */
export function openStandInTpm(tcti: string, dir: string): StandInTpm {
  const file = (name: string): string => join(dir, name)
  const run = (tool: string, ...args: string[]): Promise<string> =>
    runCommand(tool, args, { env: { TPM2TOOLS_TCTI: tcti, TSS2_LOG: 'all+NONE' }, timeoutMs: 15_000 })
  const read = async (name: string): Promise<string> => (await readFile(file(name))).toString('base64')
  const serialise = newSerialiser()

  async function requireAk(): Promise<void> {
    const handles = await run('tpm2_getcap', 'handles-persistent')
    if (handles.toLowerCase().includes(AK_HANDLE)) return
    const outputs = ['-c', file('ak.ctx'), '-r', file('ak.priv'), '-u', file('ak.pub')]
    await run('tpm2_createak', '-C', EK_HANDLE, ...outputs, '-G', 'rsa', '-g', 'sha256', '-s', 'rsassa')
    await run('tpm2_flushcontext', '-t')
    await run('tpm2_evictcontrol', '-C', 'o', '-c', file('ak.ctx'), AK_HANDLE)
    await run('tpm2_flushcontext', '-t')
    await rm(file('ak.ctx'))
    await writeKeyFile()
  }

  /** What a real agent leaves too: its key, wrapped by the TPM, for whoever may use it. */
  async function writeKeyFile(): Promise<void> {
    await run('tpm2_readpublic', '-c', EK_HANDLE, '-f', 'pem', '-o', file('ek.pem'))
    const [publicArea, privateArea] = [await readFile(file('ak.pub')), await readFile(file('ak.priv'))]
    await writeFile(
      file('agent_data.json'),
      keyFileText({ publicArea, privateArea }, ekUuid(pemOf(await readFile(file('ek.pem'))))),
    )
    await rm(file('ak.priv'))
  }

  return {
    akHandle: Number(AK_HANDLE),
    identity: () =>
      serialise(async () => {
        await requireAk()
        await run('tpm2_readpublic', '-c', AK_HANDLE, '-o', file('ak.pub'))
        await run('tpm2_readpublic', '-c', EK_HANDLE, '-o', file('ek.pub'))
        await run('tpm2_readpublic', '-c', EK_HANDLE, '-f', 'pem', '-o', file('ek.pem'))
        await run('tpm2_nvread', EK_CERTIFICATE_INDEX, '-o', file('ek.crt'))
        const ekPem = pemOf(await readFile(file('ek.pem')))
        return {
          ekTpm: await read('ek.pub'),
          ekCert: await read('ek.crt'),
          akTpm: await read('ak.pub'),
          ekPem,
        }
      }),
    activate: (blob) =>
      serialise(async () => {
        await writeFile(file('blob'), blob)
        await run('tpm2_startauthsession', '--policy-session', '-S', file('session'))
        await run('tpm2_policysecret', '-S', file('session'), '-c', 'e')
        const auth = `session:${file('session')}`
        await run(
          'tpm2_activatecredential',
          '-c',
          AK_HANDLE,
          '-C',
          EK_HANDLE,
          '-i',
          file('blob'),
          '-o',
          file('secret'),
          '-P',
          auth,
        )
        await run('tpm2_flushcontext', file('session'))
        const secret = await readFile(file('secret'))
        for (const name of ['secret', 'blob', 'session']) await rm(file(name), { force: true })
        return secret
      }),
    quote: (nonce, mask, publicKeyPem) =>
      serialise(async () => {
        const digest = createHash('sha256').update(publicKeyPem).digest('hex')
        await run('tpm2_pcrreset', String(DATA_PCR))
        await run('tpm2_pcrextend', `${DATA_PCR}:sha256=${digest}`)
        const selection = `sha256:${pcrsOf(mask).join(',')}`
        const outputs = ['-m', file('attest'), '-s', file('signature'), '-o', file('pcrs')]
        const nonceHex = Buffer.from(nonce).toString('hex')
        await run('tpm2_quote', '-c', AK_HANDLE, '-l', selection, '-q', nonceHex, '-g', 'sha256', ...outputs)
        return `r${await read('attest')}:${await read('signature')}:${await read('pcrs')}`
      }),
  }
}

function pemOf(bytes: Buffer): string {
  return createPublicKey(bytes).export({ type: 'spki', format: 'pem' })
}

/** The TPM has one PCR 16, so resetting, extending and quoting it must not mix with another request's. */
function newSerialiser(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
}

function pcrsOf(mask: number): readonly number[] {
  return Array.from({ length: 24 }, (_, index) => index).filter(
    (index) => index === DATA_PCR || (mask & (1 << index)) !== 0,
  )
}
