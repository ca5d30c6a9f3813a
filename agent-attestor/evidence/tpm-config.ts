/**
 * What is looked at, at Configure, when evidence comes from the TPM itself.
 *
 * @module
 */
import { accessSync, constants, statSync } from 'node:fs'
import { readTextFile } from '@tower-of-omens/keylime/tls-files'
import { currentUser, groupName } from '@tower-of-omens/tpm-device'
import { readKeyFile } from './key-file.ts'

/** Paths of the configuration. */
export interface TpmPaths {
  readonly device: string
  readonly keyFile: string
  readonly endorsementAuthFile: string | undefined
}

/** What was found at the paths. */
export interface TpmFindings {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
  /** The password in the file that was named. */
  readonly endorsementSecret: Buffer | undefined
}

const OTHERS_MAY_READ = 0o004

/**
 * Looks at the paths, without opening the TPM.
 *
 * @param paths Device, key file, password file.
 * @returns Problems, warnings, and the password.
 */
export function lookAtTpm({ device, keyFile, endorsementAuthFile }: TpmPaths): TpmFindings {
  const auth = endorsementAuthFile === undefined ? undefined : readAuthFile(endorsementAuthFile)
  const key = readKeyFile(keyFile)
  const found = 'problem' in key ? `keylime_agent_data ${key.problem}` : undefined
  // A Keylime agent that has not started yet, or is writing just now, is waited for at the attestation.
  const isPassing = 'kind' in key && key.kind !== 'unreadable'
  return {
    problems: [deviceProblem(device), isPassing ? undefined : found, auth?.problem].filter(
      (text) => text !== undefined,
    ),
    warnings: [isPassing ? found : undefined, auth?.warning].filter((text) => text !== undefined),
    endorsementSecret: auth?.secret,
  }
}

function deviceProblem(path: string): string | undefined {
  try {
    const stats = statSync(path)
    if (!stats.isCharacterDevice() && !stats.isSocket()) {
      return `tpm_path ${path} is neither a character device nor a unix socket`
    }
    accessSync(path, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    return code === 'EACCES' || code === 'EPERM' ? denied(path) : missing(path, code)
  }
}

function missing(path: string, code: string): string {
  return `tpm_path ${path} cannot be looked at (${code}): see "ls -l /dev/tpm*" and the firmware settings; under systemd PrivateDevices=yes hides it, in a container it must be passed in`
}

function denied(path: string): string {
  const user = currentUser()
  try {
    const group = groupName(statSync(path).gid)
    return `tpm_path ${path} may not be used by user ${user}: add it to group ${group} (usermod -aG ${group} ${user}) and restart the spire agent; under systemd also DeviceAllow=${path} rw`
  } catch {
    return `tpm_path ${path} may not be reached by user ${user}: a folder above it does not let it in`
  }
}

interface AuthFile {
  readonly secret?: Buffer
  readonly problem?: string
  readonly warning?: string
}

function readAuthFile(path: string): AuthFile {
  const file = readTextFile(path)
  if ('problem' in file) return { problem: `tpm_endorsement_auth_file ${path} ${file.problem}` }
  const secret = Buffer.from(file.text.replace(/\r?\n$/, ''), 'latin1')
  if ((file.mode & OTHERS_MAY_READ) === 0) return { secret }
  return { secret, warning: `tpm_endorsement_auth_file ${path} may be read by every user: chmod o-r it` }
}
