/**
 * Executables that take loader and libraries from a folder of their own. Nothing moves: a program of Node.js with
 * another inside does not survive that.
 *
 * @see ELF-64 object file format, version 1.5 draft 2
 * @module
 */

/** One entry of the program header table. */
interface Segment {
  /** Offset of its entry. */
  readonly at: number
  readonly type: number
  readonly offset: number
  readonly address: bigint
  readonly size: number
}

const HEADER_BYTES = 64
const LOAD = 1
const DYNAMIC = 2
const INTERPRETER = 3
const PROGRAM_HEADERS = 6
const TAG_STRINGS = 5n
const TAG_RPATH = 15n
const TAG_DEBUG = 21n
const FLAG_ALLOC = 2n

/**
 * Gives an executable another loader, and one folder in which it finds its libraries before anywhere else.
 *
 * Both names go where the old loader's was, and into the bytes after it that nothing uses: those of notes, which Node.js
 * copies elsewhere when it puts a program in. The entry of the dynamic section is the one for debuggers.
 *
 * @param file A little-endian ELF-64 executable, dynamically linked.
 * @param loader Absolute path of the loader.
 * @param folder Absolute path of the libraries.
 * @returns A file of the same size.
 * @throws {Error} The file is no such executable, or has no room for the names.
 */
export function rehomed(file: Buffer, loader: string, folder: string): Buffer {
  if (file.length < HEADER_BYTES || file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
    throw new Error('not a little-endian ELF-64 file: expected an executable for Linux')
  }
  const segments = segmentsOf(file)
  const interpreter = segmentOf(segments, INTERPRETER, 'loader')
  const names = Buffer.from(`${loader}\0${folder}\0`)
  const room = roomFrom(interpreter, file, segments)
  if (names.length > room) throw new Error(`ELF file has ${room} bytes for the names, ${names.length} are needed`)
  const changed = Buffer.from(file)
  changed.fill(0, interpreter.offset, interpreter.offset + Math.max(names.length, interpreter.size))
  names.copy(changed, interpreter.offset)
  const length = BigInt(Buffer.byteLength(loader) + 1)
  for (const field of [32, 40]) changed.writeBigUInt64LE(length, interpreter.at + field)
  writeFolder(changed, segmentOf(segments, DYNAMIC, 'dynamic section'), interpreter.address + length)
  return changed
}

function segmentsOf(file: Buffer): Segment[] {
  const table = Number(file.readBigUInt64LE(32))
  return Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const at = table + index * file.readUInt16LE(54)
    return {
      at,
      type: file.readUInt32LE(at),
      offset: Number(file.readBigUInt64LE(at + 8)),
      address: file.readBigUInt64LE(at + 16),
      size: Number(file.readBigUInt64LE(at + 32)),
    }
  })
}

function segmentOf(segments: readonly Segment[], type: number, name: string): Segment {
  const found = segments.find((one) => one.type === type)
  if (found === undefined) throw new Error(`ELF file names no ${name}: expected a dynamically linked executable`)
  return found
}

/** Counts the bytes from the loader's name to what comes next: a section, a segment, or the end of what is loaded. */
function roomFrom({ offset }: Segment, file: Buffer, segments: readonly Segment[]): number {
  const loaded = segments.find((one) => one.type === LOAD && one.offset <= offset && offset < one.offset + one.size)
  const inside = segments.filter(({ type }) => type !== LOAD && type !== PROGRAM_HEADERS).map((one) => one.offset)
  const next = [...inside, ...sectionOffsets(file)].filter((start) => start > offset)
  return Math.min(...next, loaded === undefined ? offset : loaded.offset + loaded.size) - offset
}

function sectionOffsets(file: Buffer): number[] {
  const table = Number(file.readBigUInt64LE(40))
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => table + index * file.readUInt16LE(58))
    .filter((at) => (file.readBigUInt64LE(at + 8) & FLAG_ALLOC) !== 0n)
    .map((at) => Number(file.readBigUInt64LE(at + 24)))
}

/** Writes RPATH, not RUNPATH: it comes before LD_LIBRARY_PATH, and serves the libraries' own needs too. */
function writeFolder(file: Buffer, dynamic: Segment, address: bigint): void {
  const entries = Array.from({ length: dynamic.size / 16 }, (_, index) => dynamic.offset + index * 16)
  const entryOf = (tag: bigint): number | undefined => entries.find((at) => file.readBigUInt64LE(at) === tag)
  const [strings, spare] = [entryOf(TAG_STRINGS), entryOf(TAG_DEBUG)]
  if (strings === undefined || spare === undefined) throw new Error('ELF file has no entry to name a folder in')
  file.writeBigUInt64LE(TAG_RPATH, spare)
  // Counted from the table of names, which lies behind: the loader adds in 64 bits, and comes back to it.
  file.writeBigUInt64LE(BigInt.asUintN(64, address - file.readBigUInt64LE(strings + 8)), spare + 8)
}
