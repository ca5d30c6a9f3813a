/**
 * Questions about the TPM itself: which handles are in use, and its properties.
 *
 * @see TCG TPM 2.0 Library, Part 3, 30.2 (GetCapability); Part 2, 6.13 (TPM_PT)
 * @module
 */
import type { ByteReader } from '../byte-reader.ts'
import { u32 } from '../encode.ts'
import { newCommand, type TpmCommand } from './command.ts'

/** First handle of each kind. */
export const FIRST_HANDLE = { loadedSession: 0x02000000, transient: 0x80000000, persistent: 0x81000000 } as const

/** Properties that are read. */
export const PROPERTY = { manufacturer: 0x105, maxNvBuffer: 0x12c } as const

const CAPABILITY = { handles: 1, properties: 6 } as const
const MAX_HANDLES = 254

/**
 * Lists handles of one kind; more than 254 do not fit one answer, and no TPM has so many.
 *
 * @param first Where to begin, one of {@link FIRST_HANDLE}.
 * @returns The command.
 */
export function getHandles(first: number): TpmCommand<readonly number[]> {
  return newCommand({
    name: 'GetCapability',
    code: 0x17a,
    parameters: [u32(CAPABILITY.handles), u32(first), u32(MAX_HANDLES)],
    read: (reader) => {
      requireCapability(reader, CAPABILITY.handles)
      const count = reader.u32('handle count')
      if (count > MAX_HANDLES) throw reader.malformed('handle count', `at most ${MAX_HANDLES}`, `${count}`)
      return Array.from({ length: count }, () => reader.u32('handle'))
    },
  })
}

/**
 * Reads one property.
 *
 * @param property One of {@link PROPERTY}.
 * @returns The command; it answers undefined where the TPM has no such property.
 */
export function getProperty(property: number): TpmCommand<number | undefined> {
  return newCommand({
    name: 'GetCapability',
    code: 0x17a,
    parameters: [u32(CAPABILITY.properties), u32(property), u32(1)],
    read: (reader) => {
      requireCapability(reader, CAPABILITY.properties)
      const count = reader.u32('property count')
      if (count > 1) throw reader.malformed('property count', 'at most 1', `${count}`)
      if (count === 0) return undefined
      // A TPM without it answers with the next one it has.
      const found = reader.u32('property')
      const value = reader.u32('value')
      return found === property ? value : undefined
    },
  })
}

function requireCapability(reader: ByteReader, expected: number): void {
  reader.u8('more data')
  const found = reader.u32('capability')
  if (found !== expected) throw reader.malformed('capability', `${expected}`, `${found}`)
}
