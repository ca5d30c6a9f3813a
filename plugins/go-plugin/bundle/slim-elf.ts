/**
 * Executable files without what no kernel and no loader reads: debug sections and the full symbol table.
 *
 * In our own code, so that every machine, whatever its binutils, gives the same bytes for either processor.
 *
 * @see ELF-64 object file format, version 1.5 draft 2
 * @module
 */

interface Section {
  readonly index: number
  /** Its 64 bytes in the section header table. */
  readonly header: Buffer
  readonly type: number
  readonly allocated: boolean
  readonly end: number
}

const HEADER_BYTES = 64
const SECTION_BYTES = 64
const NOBITS = 8
const FLAG_ALLOC = 2n
/** Types RELA and REL. */
const RELOCATIONS: ReadonlySet<number> = new Set([4, 9])

/**
 * Removes every section that is not loaded into memory.
 *
 * @param file A little-endian ELF-64 executable whose loaded part lies before the rest, as linkers write it.
 * @returns The smaller file; its loaded part is unchanged byte for byte but for the header's three section fields.
 * @throws {Error} The file is no such executable.
 */
export function withoutDebugSections(file: Buffer): Buffer {
  if (file.length < HEADER_BYTES || file.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
    throw new Error('not a little-endian ELF-64 file: expected the Node.js executable for Linux')
  }
  const sections = sectionsOf(file)
  const names = sections[file.readUInt16LE(62)]
  if (names === undefined) throw new Error('ELF file has no section names')
  const kept = sections.filter(({ index, allocated }) => index === 0 || allocated)
  const loadedEnd = Math.max(segmentsEnd(file), ...kept.map(({ end }) => end))
  const texts = namesOf(file, names, kept)
  const namesAt = align(loadedEnd)
  const tableAt = align(namesAt + texts.reduce((sum, { length }) => sum + length, 0))
  const slim = Buffer.alloc(tableAt + texts.length * SECTION_BYTES)
  file.copy(slim, 0, 0, loadedEnd)
  Buffer.concat(texts).copy(slim, namesAt)
  writeTable(slim.subarray(tableAt), [...kept, names], texts, namesAt)
  slim.writeBigUInt64LE(BigInt(tableAt), 40)
  slim.writeUInt16LE(texts.length, 60)
  slim.writeUInt16LE(kept.length, 62)
  return slim
}

function sectionsOf(file: Buffer): Section[] {
  const at = Number(file.readBigUInt64LE(40))
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const header = file.subarray(at + index * SECTION_BYTES, at + (index + 1) * SECTION_BYTES)
    const type = header.readUInt32LE(4)
    const end = type === NOBITS ? 0 : Number(header.readBigUInt64LE(24) + header.readBigUInt64LE(32))
    return { index, header, type, allocated: (header.readBigUInt64LE(8) & FLAG_ALLOC) !== 0n, end }
  })
}

function segmentsEnd(file: Buffer): number {
  const at = Number(file.readBigUInt64LE(32))
  const size = file.readUInt16LE(54)
  const ends = Array.from({ length: file.readUInt16LE(56) }, (_, index) => {
    const header = file.subarray(at + index * size)
    return Number(header.readBigUInt64LE(8) + header.readBigUInt64LE(32))
  })
  return Math.max(...ends, at + ends.length * size)
}

/** Gives the names of the kept sections in order, the name of the name table last. */
function namesOf(file: Buffer, names: Section, kept: readonly Section[]): Buffer[] {
  const from = Number(names.header.readBigUInt64LE(24))
  return [...kept, names].map(({ header }) => {
    const start = from + header.readUInt32LE(0)
    return file.subarray(start, file.indexOf(0, start) + 1)
  })
}

function writeTable(table: Buffer, sections: readonly Section[], names: readonly Buffer[], namesAt: number): void {
  const moved = new Map(sections.map(({ index }, position) => [index, position]))
  let nameAt = 0
  for (const [position, { header, type }] of sections.entries()) {
    const entry = table.subarray(position * SECTION_BYTES, (position + 1) * SECTION_BYTES)
    header.copy(entry)
    entry.writeUInt32LE(nameAt, 0)
    nameAt += names[position]?.length ?? 0
    entry.writeUInt32LE(moved.get(header.readUInt32LE(40)) ?? 0, 40)
    // Relocations name the section they apply to; elsewhere the field is a count.
    if (RELOCATIONS.has(type)) entry.writeUInt32LE(moved.get(header.readUInt32LE(44)) ?? 0, 44)
  }
  const last = table.subarray((sections.length - 1) * SECTION_BYTES)
  last.writeBigUInt64LE(BigInt(namesAt), 24)
  last.writeBigUInt64LE(BigInt(nameAt), 32)
}

function align(offset: number): number {
  return Math.ceil(offset / 8) * 8
}
