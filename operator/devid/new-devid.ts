/**
 * A new DevID: key made in the TPM, request signed there, certificate from OpenBao, three files swapped together.
 *
 * @module
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { parseTpm2bPublic } from '@tower-of-omens/tpm'
import { flushContext, type WrappedKey } from '@tower-of-omens/tpm/commands'
import { loadSigningKey, signDigest, Tpm } from '@tower-of-omens/tpm-device'
import { refusedBecause } from '../act/preconditions.ts'
import { ECDSA_SHA256, RSA_SHA256, type Signer } from '../pki/keys.ts'
import { newRequest } from '../pki/requests.ts'
import { copyAttributes } from '../plan/replace-file.ts'
import { OpenBao } from '../sources/openbao.ts'
import type { DevIdSpec } from './devid-spec.ts'
import { makeDevIdKey, openDevIdParent, unsized } from './spire-keys.ts'

/** Where the key goes. */
export interface DevIdKeyFiles {
  readonly pubFile: string
  readonly privFile: string
}

const TPM_TIMEOUT_MS = 20_000

/**
 * Makes a DevID and puts it in place.
 *
 * @param spec Its description.
 * @param files Where the key goes.
 * @param timeoutMs Limit of each question to OpenBao.
 * @param signal The caller's.
 * @returns The way back to the files before.
 * @throws {OperatorError} `TK-ACT-REFUSED`: something is missing in the description. Any `TK-PKI-*`.
 */
export async function newDevId(
  spec: DevIdSpec,
  files: DevIdKeyFiles,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ back(): void }> {
  const { address, ca_file: caFile, role, common_name: commonName } = spec
  const { approle_role_id_file: roleIdFile, approle_secret_id_file: secretIdFile } = spec
  if (
    address === undefined ||
    caFile === undefined ||
    role === undefined ||
    commonName === undefined ||
    roleIdFile === undefined ||
    secretIdFile === undefined
  ) {
    throw refusedBecause(`${spec.from}: set common_name, address, ca_file, role and both approle files to renew it`)
  }
  const place = { name: 'openbao', address, caFile, timeoutMs }
  const login = {
    kind: 'approle',
    roleId: textOf(roleIdFile),
    secretId: textOf(secretIdFile),
    mount: 'approle',
  } as const
  const session = await OpenBao.login(place, login, signal)
  const { key, csr } = await keyAndRequest(spec, commonName)
  const wish = { mount: spec.mount, role, csr, commonName, dnsNames: [], ipAddresses: [], uris: [], ttl: spec.ttl }
  const { certificate, issuers } = await session.sign(wish, signal)
  const chain = [certificate, ...issuers].map((pem) => `${pem.trim()}\n`).join('')
  return swapThree([
    [files.pubFile, unsized(key.publicArea), 0o644],
    [files.privFile, unsized(key.privateArea), 0o600],
    [spec.cert_file, Buffer.from(chain), 0o644],
  ])
}

async function keyAndRequest(
  { tpm_path: path, key_type: type }: DevIdSpec,
  commonName: string,
): Promise<{ key: WrappedKey; csr: string }> {
  const tpm = await Tpm.open({ path, timeoutMs: TPM_TIMEOUT_MS })
  try {
    const parent = await openDevIdParent(tpm, type)
    try {
      const key = await makeDevIdKey(tpm, parent.handle, type)
      const handle = await loadSigningKey(tpm, parent.handle, key)
      try {
        return {
          key,
          csr: await newRequest({ commonName }, tpmSigner(tpm, handle, parseTpm2bPublic(key.publicArea).key)),
        }
      } finally {
        await tpm.run(flushContext(handle))
      }
    } finally {
      await tpm.run(flushContext(parent.handle))
    }
  } finally {
    await tpm.close()
  }
}

function tpmSigner(tpm: Tpm, handle: number, key: KeyObject): Signer {
  const isRsa = key.asymmetricKeyType === 'rsa'
  return {
    publicKey: createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'der' }),
    algorithm: isRsa ? RSA_SHA256 : ECDSA_SHA256,
    sign: (bytes) =>
      signDigest(tpm, handle, createHash('sha256').update(bytes).digest(), isRsa ? 'rsassa' : 'ecdsa', 'sha256'),
  }
}

type Part = readonly [file: string, bytes: Buffer, mode: number]

/**
 * Puts files in place, each with owner, mode and access lists of the one before.
 *
 * @param parts Each file with what it is to hold, and the mode of one that is not there yet; the certificate last: who
 *   reads in between finds the old one with a key that does not fit, and tries again.
 * @returns The way back.
 * @throws {Error} A file cannot be written; nothing was changed.
 */
export function swapThree(parts: readonly Part[]): { back(): void } {
  const before = parts.map(([file]) => (existsSync(file) ? readFileSync(file) : undefined))
  const back = (): void => {
    for (const [at, [file, , mode]] of parts.entries()) {
      const old = before[at]
      if (old === undefined) rmSync(file, { force: true })
      else writeLike(file, old, mode)
    }
  }
  for (const [file, bytes, mode] of parts) writeAside(file, bytes, mode)
  try {
    for (const [file] of parts) renameSync(`${file}.new`, file)
  } catch (error) {
    back()
    throw error
  }
  return { back }
}

function writeLike(file: string, bytes: Buffer, mode: number): void {
  writeAside(file, bytes, mode)
  renameSync(`${file}.new`, file)
}

// With owner, mode and access lists of the file it stands for: SPIRE's agent may run as another user than we do.
function writeAside(file: string, bytes: Buffer, mode: number): void {
  const aside = `${file}.new`
  rmSync(aside, { force: true })
  if (existsSync(file)) copyAttributes(file, aside)
  writeFileSync(aside, bytes, { mode })
}

function textOf(file: string): string {
  return readFileSync(file, 'utf8').trim()
}
