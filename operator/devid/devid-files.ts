/**
 * DevID certificates of this machine, and whether their keys are in its TPM.
 *
 * @see IEEE 802.1AR; spiffe/spire ef8527ec9, doc/plugin_agent_nodeattestor_tpm_devid.md
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseTpm2bPublic, TpmError, type TpmPublic } from '@tower-of-omens/tpm'
import { flushContext, load, type ResponseCodeName, readPublic, TpmResponseError } from '@tower-of-omens/tpm/commands'
import { DEFAULT_TPM_PATH, Tpm, TpmDeviceError } from '@tower-of-omens/tpm-device'
import type { Site } from '../site/site.ts'
import { readDevIdSpecs } from './devid-spec.ts'
import { openDevIdParent, sized } from './spire-keys.ts'

/** A DevID certificate, and where its key should be. */
export interface DevIdFiles {
  readonly certFile: string
  readonly tpmPath: string
  /** Blobs of a key that is loaded when used, or the handle of one that is persistent. */
  readonly key: { readonly pubFile: string; readonly privFile: string } | { readonly handle: number }
}

/** What is wrong with a key, or why it could not be looked at. */
export interface KeyProblem {
  readonly is: 'wrong' | 'unseen'
  readonly message: string
}

const TPM_TIMEOUT_MS = 15_000

/**
 * Finds the DevID certificates that configuration names: SPIRE's tpm_devid attestor and our own descriptions.
 *
 * @param site This machine.
 * @param folder Where our descriptions are.
 * @returns Each once.
 */
export function devIdFilesOf({ spireAgent }: Pick<Site, 'spireAgent'>, folder: string): readonly DevIdFiles[] {
  const text = (key: string): string | undefined =>
    spireAgent?.text('plugins', 'NodeAttestor', 'tpm_devid', 'plugin_data', key)?.value
  const [certFile, pubFile, privFile] = [text('devid_cert_path'), text('devid_pub_path'), text('devid_priv_path')]
  const ofSpire =
    certFile === undefined || pubFile === undefined || privFile === undefined
      ? []
      : [{ certFile, tpmPath: text('tpm_device_path') ?? DEFAULT_TPM_PATH, key: { pubFile, privFile } }]
  const own = readDevIdSpecs(folder)
    .map(
      ({ cert_file, pub_file, priv_file, handle, tpm_path }): DevIdFiles => ({
        certFile: cert_file,
        tpmPath: tpm_path,
        key: handle === undefined ? { pubFile: pub_file ?? '', privFile: priv_file ?? '' } : { handle: Number(handle) },
      }),
    )
    .filter(({ certFile: file }) => ofSpire.every((known) => known.certFile !== file))
  return [...ofSpire, ...own]
}

/**
 * Looks for the certified key in the TPM.
 *
 * @param files The certificate and its key.
 * @returns What is wrong; undefined when the TPM holds the key.
 */
export async function keyProblem(files: DevIdFiles): Promise<KeyProblem | undefined> {
  try {
    const certified = new X509Certificate(readFileSync(files.certFile)).publicKey
    return await inTpm(files, certified.export({ type: 'spki', format: 'der' }))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    if (error instanceof TpmDeviceError || isBusy(error) || isUnreadable(error)) return { is: 'unseen', message: why }
    return { is: 'wrong', message: why }
  }
}

async function inTpm({ key, tpmPath }: DevIdFiles, certified: Buffer): Promise<KeyProblem | undefined> {
  if ('handle' in key) {
    const held = await withTpm(tpmPath, async (tpm) => parseTpm2bPublic(await tpm.run(readPublic(key.handle))))
    const where = `the key at handle 0x${key.handle.toString(16)} of ${tpmPath}`
    return fits(held, certified) ? undefined : wrong(`certifies another key than ${where}`)
  }
  const publicArea = sized(readFileSync(key.pubFile))
  const held = parseTpm2bPublic(publicArea)
  if (!fits(held, certified)) return wrong(`certifies another key than the one in ${key.pubFile}`)
  const privateArea = sized(readFileSync(key.privFile))
  const loads = await withTpm(tpmPath, (tpm) => isLoadable(tpm, held, { publicArea, privateArea }))
  return loads ? undefined : wrong(`its key in ${key.privFile} was made by another TPM, or this one was cleared`)
}

async function isLoadable(
  tpm: Tpm,
  held: TpmPublic,
  key: { publicArea: Buffer; privateArea: Buffer },
): Promise<boolean> {
  const parent = await openDevIdParent(tpm, held.type === 'rsa' ? 'rsa' : 'ec')
  try {
    const { handle } = await tpm.run(load(parent.handle, key))
    await tpm.run(flushContext(handle))
    return true
  } catch (error) {
    if (error instanceof TpmDeviceError || isBusy(error)) throw error
    return false
  } finally {
    await tpm.run(flushContext(parent.handle))
  }
}

async function withTpm<T>(path: string, use: (tpm: Tpm) => Promise<T>): Promise<T> {
  const tpm = await Tpm.open({ path, timeoutMs: TPM_TIMEOUT_MS })
  try {
    return await use(tpm)
  } finally {
    await tpm.close()
  }
}

function fits({ key }: TpmPublic, certified: Buffer): boolean {
  return key.export({ type: 'spki', format: 'der' }).equals(certified)
}

function wrong(message: string): KeyProblem {
  return { is: 'wrong', message }
}

// It has no room, is locked or tests itself: that says nothing about a key.
const BUSY: ReadonlySet<ResponseCodeName | undefined> = new Set([
  'LOCKOUT',
  'OBJECT_MEMORY',
  'REFERENCE',
  'RETRY',
  'SESSION_MEMORY',
  'TESTING',
  'YIELDED',
])

function isBusy(error: unknown): boolean {
  return error instanceof TpmResponseError && BUSY.has(error.responseName)
}

function isUnreadable(error: unknown): boolean {
  if (error instanceof TpmError) return false
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
}
