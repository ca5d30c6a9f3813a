/**
 * Reading of NV indices: where a maker puts the EK certificate.
 *
 * @see TCG TPM 2.0 Library, Part 3, 31.6 (NV_ReadPublic), 31.13 (NV_Read); EK Credential Profile 2.5, 2.2.1.4
 * @module
 */
import { MAX_DIGEST_BYTES } from '../algorithms.ts'
import { ByteReader } from '../byte-reader.ts'
import { u16 } from '../encode.ts'
import { byPassword, newCommand, type TpmCommand } from './command.ts'

/** Most bytes asked for at once, which every TPM gives. */
export const NV_READ_BYTES = 512

const MAX_AREA_BYTES = 0xffff
const MAX_NAME_BYTES = 2 + MAX_DIGEST_BYTES

/** Reads how many bytes an index holds. @param index Its handle. @returns The command. */
export function nvSize(index: number): TpmCommand<number> {
  return newCommand({
    name: 'NV_ReadPublic',
    code: 0x169,
    handles: [index],
    read: (reader) => {
      const area = new ByteReader(reader.sized(MAX_AREA_BYTES, 'public'), 'TPMS_NV_PUBLIC')
      area.u32('index')
      area.u16('nameAlg')
      area.u32('attributes')
      area.sized(MAX_DIGEST_BYTES, 'policy')
      const size = area.u16('size')
      area.end()
      reader.sized(MAX_NAME_BYTES, 'name')
      return size
    },
  })
}

/**
 * Reads a part of an index that anyone may read.
 *
 * @param index Its handle.
 * @param size At most {@link NV_READ_BYTES}.
 * @param offset First byte.
 * @returns The command.
 */
export function nvRead(index: number, size: number, offset: number): TpmCommand<Buffer> {
  return newCommand({
    name: 'NV_Read',
    code: 0x14e,
    handles: [index, index],
    authorizations: [byPassword()],
    parameters: [u16(size), u16(offset)],
    read: (reader) => Buffer.from(reader.sized(NV_READ_BYTES, 'data')),
  })
}
