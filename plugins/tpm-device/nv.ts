/**
 * Reading of what a TPM stores for everyone to read.
 *
 * @module
 */
import { NV_READ_BYTES, nvRead, nvSize } from '@tower-of-omens/tpm/commands'
import type { Tpm } from './tpm.ts'

/**
 * Reads an NV index whole.
 *
 * @param tpm An open TPM.
 * @param index Its handle.
 * @returns Its bytes.
 * @throws As {@link Tpm.run}; `HANDLE`: there is no such index.
 */
export async function readNvIndex(tpm: Tpm, index: number): Promise<Buffer> {
  const size = await tpm.run(nvSize(index))
  const parts: Buffer[] = []
  for (let offset = 0; offset < size; offset += NV_READ_BYTES) {
    parts.push(await tpm.run(nvRead(index, Math.min(NV_READ_BYTES, size - offset), offset)))
  }
  return Buffer.concat(parts)
}
