/**
 * Opening of a TPM by its path, and the words for when it cannot be.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { openCharacterDevice } from './character-device.ts'
import { TpmDeviceError } from './device-error.ts'
import { openSocketDevice } from './socket-device.ts'
import type { Transport } from './transport.ts'

/** Path of the kernel's resource manager. */
export const DEFAULT_TPM_PATH = '/dev/tpmrm0'

/** A path and the name of the key it was configured by, for messages. */
export interface TpmPath {
  readonly path: string
  /** Default `tpm_path`. */
  readonly setting?: string
}

/**
 * Opens a TPM.
 *
 * @param where A character device or a UNIX socket.
 * @returns The way to it.
 * @throws {TpmDeviceError} `TPM_MISSING`, `TPM_DENIED`, `TPM_BUSY`, `TPM_BROKEN`, each with what to do.
 */
export async function openTpm(where: TpmPath): Promise<Transport> {
  const { path } = where
  try {
    const found = await stat(path)
    if (found.isCharacterDevice()) return await openCharacterDevice(path)
    if (found.isSocket()) return await openSocketDevice(path)
  } catch (error) {
    throw await explainOpening(where, error)
  }
  throw new TpmDeviceError(
    'TPM_MISSING',
    `tpm ${path} is neither a character device nor a unix socket: correct ${where.setting ?? 'tpm_path'}`,
  )
}

async function explainOpening({ path, setting = 'tpm_path' }: TpmPath, error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !('code' in error) || error instanceof TpmDeviceError) return error
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ENXIO':
    case 'ENODEV':
      return new TpmDeviceError('TPM_MISSING', missing(path, setting), error)
    case 'EACCES':
    case 'EPERM':
      return new TpmDeviceError('TPM_DENIED', await denied(path), error)
    case 'EBUSY':
      return new TpmDeviceError(
        'TPM_BUSY',
        `tpm ${path} is open in another process, which has it alone: set ${setting} to ${DEFAULT_TPM_PATH}, which many may open`,
        error,
      )
    case 'ECONNREFUSED':
      return new TpmDeviceError('TPM_MISSING', `tpm ${path}: nothing listens on this socket`, error)
    default:
      return new TpmDeviceError('TPM_BROKEN', `tpm ${path} cannot be opened: ${String(error.code)}`, error)
  }
}

function missing(path: string, setting: string): string {
  return `tpm ${path} does not exist: look with "ls -l /dev/tpm*", enable the TPM in the firmware settings, or set ${setting}; under systemd PrivateDevices=yes hides it, in a container it must be passed in`
}

async function denied(path: string): Promise<string> {
  const { group, text } = await ownershipOf(path)
  const user = currentUser()
  return `user ${user} may not open tpm ${path}${text}: add the user to group ${group} (usermod -aG ${group} ${user}) and restart this service; under systemd also DeviceAllow=${path} rw`
}

async function ownershipOf(path: string): Promise<{ readonly group: string; readonly text: string }> {
  try {
    const { uid, gid, mode } = await stat(path)
    const group = groupName(gid)
    return { group, text: ` (owner uid ${uid}, group ${group}, mode 0${(mode & 0o777).toString(8)})` }
  } catch {
    return { group: 'tss', text: '' }
  }
}

/**
 * Names a group.
 *
 * @param gid Its number.
 * @returns Its name in `/etc/group`, else the number.
 */
export function groupName(gid: number): string {
  try {
    const line = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((entry) => entry.split(':')[2] === `${gid}`)
    return line?.split(':')[0] ?? `${gid}`
  } catch {
    return `${gid}`
  }
}

/** Names the user of this process. @returns Its name, else its number. */
export function currentUser(): string {
  try {
    return userInfo().username
  } catch {
    return `${process.getuid?.() ?? 'unknown'}`
  }
}
