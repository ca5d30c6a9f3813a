/**
 * The kernel's TPM device: `/dev/tpmrm0`, which gives each open file handles of its own, or `/dev/tpm0`.
 *
 * A write runs the command and blocks one thread of Node's pool until the TPM is done, not the event loop; the read
 * after it answers at once.
 *
 * @see Linux 6.1, drivers/char/tpm/tpm-dev-common.c and tpmrm-dev.c
 * @module
 */
import { type FileHandle, open } from 'node:fs/promises'
import { HEADER_BYTES, MAX_RESPONSE_BYTES } from '@tower-of-omens/tpm/commands'
import { TpmDeviceError } from './device-error.ts'
import type { Transport } from './transport.ts'

// EINVAL: a handle that is not this file's, as after a suspend. EPIPE, ENODEV, ENXIO, EIO: the device went away.
const LOST: ReadonlySet<unknown> = new Set(['EINVAL', 'EPIPE', 'ENODEV', 'ENXIO', 'EIO', 'EBADF'])

/**
 * Opens a character device.
 *
 * @param path Of the device.
 * @returns The way to its TPM.
 * @throws {Error} As `open` of `node:fs`; `open-tpm.ts` explains it.
 */
export async function openCharacterDevice(path: string): Promise<Transport> {
  const file = await open(path, 'r+')
  return {
    path,
    exchange: (command) => exchange(file, path, command),
    close: () => file.close(),
  }
}

async function exchange(file: FileHandle, path: string, command: Uint8Array): Promise<Buffer> {
  const buffer = Buffer.alloc(MAX_RESPONSE_BYTES)
  try {
    const { bytesWritten } = await file.write(command, 0, command.length, null)
    if (bytesWritten !== command.length) {
      throw broken(path, `took ${bytesWritten} of the ${command.length} bytes of a command`)
    }
    const { bytesRead } = await file.read(buffer, 0, buffer.length, null)
    if (bytesRead < HEADER_BYTES) throw broken(path, `answered ${bytesRead} bytes`)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw explained(path, error)
  }
}

function explained(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || error instanceof TpmDeviceError) return error
  if (LOST.has(error.code)) {
    return new TpmDeviceError('TPM_LOST', `tpm ${path} no longer knows what was loaded (${String(error.code)})`, error)
  }
  if (error.code === 'EBUSY') {
    return new TpmDeviceError('TPM_BUSY', `tpm ${path} is still busy with an earlier command`, error)
  }
  return broken(path, `failed with ${String(error.code)}`, error)
}

function broken(path: string, what: string, cause?: unknown): TpmDeviceError {
  return new TpmDeviceError('TPM_BROKEN', `tpm ${path} ${what}: see dmesg for the kernel's words about it`, cause)
}
