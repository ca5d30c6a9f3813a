/**
 * From `plugin_data` to a key store, or everything that is wrong with it.
 *
 * @module
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { dirname, isAbsolute } from 'node:path'
import type { BuildContext, ConfigOutcome, ConfigRequest } from '@tower-of-omens/spire-sdk'
import { type Decoded, decodeConfig } from '@tower-of-omens/spire-sdk/hcl'
import { TpmDeviceError } from '@tower-of-omens/tpm-device'
import { KeyStore } from './key-store.ts'
import { TPM_KEYS_SCHEMA } from './schema.ts'
import { TpmKeys } from './tpm-keys.ts'

type Values = Decoded<(typeof TPM_KEYS_SCHEMA)['fields']>

/** Kinds of trouble with the TPM that a person must end. */
const LASTING: ReadonlySet<string> = new Set(['TPM_MISSING', 'TPM_DENIED', 'TPM_BUSY'])

/**
 * Builds a key store. In mode `configure` it makes the folder and asks the TPM for its storage key; otherwise it only looks.
 *
 * @param request Text of `plugin_data`.
 * @param context Mode.
 * @returns Every problem at once; without one, the store.
 * @throws {TpmDeviceError} The TPM is there, and does not answer now.
 */
export async function buildKeyManager(request: ConfigRequest, context: BuildContext): Promise<ConfigOutcome<KeyStore>> {
  const { values, problems, warnings } = decodeConfig(request.hcl, TPM_KEYS_SCHEMA)
  const password = passwordOf(values)
  const told = {
    problems: [...problems.map(String), ...(await directoryProblems(values)), ...password.problems],
    warnings: warnings.map(String),
  }
  if (told.problems.length > 0 || values.directory === undefined) return told
  const { directory, tpm_path: path, timeout: timeoutMs } = values
  const keys = new TpmKeys({ path, timeoutMs, ownerAuth: password.value })
  if (context.mode === 'validate') return { ...told, config: new KeyStore(directory, keys) }
  const trouble = await lastingTrouble(keys)
  if (trouble !== undefined) return { ...told, problems: [trouble] }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return { ...told, config: new KeyStore(directory, keys) }
}

async function lastingTrouble(keys: TpmKeys): Promise<string | undefined> {
  try {
    await keys.check()
    return undefined
  } catch (error) {
    await keys.close()
    if (error instanceof TpmDeviceError && !LASTING.has(error.code)) throw error
    return reasonOf(error)
  }
}

async function directoryProblems({ directory }: Values): Promise<string[]> {
  if (directory === undefined) return []
  if (!isAbsolute(directory)) return [`directory: ${directory} is relative, expected an absolute path`]
  try {
    const found = await stat(directory).catch(() => undefined)
    if (found?.isDirectory() === false) return [`directory: ${directory} is no folder`]
    await access(found === undefined ? dirname(directory) : directory, constants.W_OK)
    return []
  } catch (error) {
    return [`directory: ${reasonOf(error)}; let the user of spire-agent write there`]
  }
}

function passwordOf({ owner_auth_file: file }: Values): {
  readonly value: Buffer | undefined
  readonly problems: string[]
} {
  if (file === undefined) return { value: undefined, problems: [] }
  try {
    return { value: Buffer.from(readFileSync(file, 'utf8').replace(/\r?\n$/, '')), problems: [] }
  } catch (error) {
    return { value: undefined, problems: [`owner_auth_file: ${reasonOf(error)}`] }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
