import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rehomed } from '../../../scripts/release/image/rehome-elf.ts'

const FILE_BYTES = 0x300
const INTERPRETER_AT = 0x100
const DYNAMIC_AT = 0x200
const BASE = 0x400000n
const STRINGS = BASE + 0x280n

const PATH = fc.stringMatching(/^\/[a-z/.-]{0,40}$/)

describe('rehomed', () => {
  it('gives every name that fits, and changes nothing else of the file', () => {
    fc.assert(
      fc.property(PATH, PATH, fc.nat(64), (loader, folder, spare) => {
        const needed = loader.length + folder.length + 2
        const file = executable(Math.max(28, needed + spare))
        const changed = rehomed(file, loader, folder)
        expect([loaderOf(changed), folderOf(changed)]).toEqual([loader, folder])
        const touched = [
          [INTERPRETER_AT, Math.max(needed, 28)],
          [64 + 56 + 32, 16],
          [DYNAMIC_AT + 16, 16],
        ] as const
        for (const [at, length] of touched) file.copy(changed, at, at, at + length)
        expect(changed.equals(file)).toBe(true)
      }),
    )
  })

  it('writes over nothing that a section or a segment holds', () => {
    fc.assert(
      fc.property(PATH, PATH, fc.nat(), (loader, folder, less) => {
        const needed = loader.length + folder.length + 2
        const room = 1 + (less % (needed - 1))
        const message = `ELF file has ${room} bytes for the names, ${needed} are needed`
        expect(() => rehomed(executable(room), loader, folder)).toThrow(message)
      }),
    )
  })

  it('refuses what has no loader, no dynamic section or no entry to spare, and what is no executable', () => {
    const cases: readonly (readonly [Buffer, string])[] = [
      [patched(64 + 56, 4), 'ELF file names no loader: expected a dynamically linked executable'],
      [patched(64 + 112, 4), 'ELF file names no dynamic section: expected a dynamically linked executable'],
      [patched(DYNAMIC_AT + 16, 30), 'ELF file has no entry to name a folder in'],
      [Buffer.from('#!/bin/sh\n'), 'not a little-endian ELF-64 file: expected an executable for Linux'],
      [patched(0, 0), 'not a little-endian ELF-64 file: expected an executable for Linux'],
    ]
    for (const [file, message] of cases) expect(() => rehomed(file, '/l', '/f')).toThrow(message)
  })
})

/** Makes an executable of one loaded segment, whose loader's name is followed by a section after `room` bytes. */
function executable(room: number): Buffer {
  const file = Buffer.alloc(FILE_BYTES, 0xaa)
  file.write('\x7fELF\x02\x01', 0, 'latin1')
  file.writeBigUInt64LE(64n, 32)
  file.writeBigUInt64LE(0x290n, 40)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(3, 56)
  file.writeUInt16LE(64, 58)
  file.writeUInt16LE(1, 60)
  writeSegment(file, 0, { type: 1, offset: 0, size: FILE_BYTES })
  writeSegment(file, 1, { type: 3, offset: INTERPRETER_AT, size: 28 })
  writeSegment(file, 2, { type: 2, offset: DYNAMIC_AT, size: 48 })
  file.writeBigUInt64LE(2n, 0x290 + 8)
  file.writeBigUInt64LE(BigInt(INTERPRETER_AT + room), 0x290 + 24)
  for (const [index, [tag, value]] of [[5n, STRINGS] as const, [21n, 0n] as const, [0n, 0n] as const].entries()) {
    file.writeBigUInt64LE(tag, DYNAMIC_AT + index * 16)
    file.writeBigUInt64LE(value, DYNAMIC_AT + index * 16 + 8)
  }
  return file
}

function patched(at: number, value: number): Buffer {
  const file = executable(0xf0)
  file.writeUInt32LE(value, at)
  return file
}

function writeSegment(file: Buffer, index: number, one: { type: number; offset: number; size: number }): void {
  const at = 64 + index * 56
  file.writeUInt32LE(one.type, at)
  file.writeBigUInt64LE(BigInt(one.offset), at + 8)
  file.writeBigUInt64LE(BASE + BigInt(one.offset), at + 16)
  for (const field of [32, 40]) file.writeBigUInt64LE(BigInt(one.size), at + field)
}

/** Reads the loader's name as the kernel does: by its length, which counts the zero at its end. */
function loaderOf(file: Buffer): string {
  const length = Number(file.readBigUInt64LE(64 + 56 + 32))
  expect(file[INTERPRETER_AT + length - 1]).toBe(0)
  return file.toString('latin1', INTERPRETER_AT, INTERPRETER_AT + length - 1)
}

/** Reads the folder's name as the loader does: from the table of names on, in 64 bits. */
function folderOf(file: Buffer): string {
  expect(file.readBigUInt64LE(DYNAMIC_AT + 16)).toBe(15n)
  const at = Number(BigInt.asUintN(64, STRINGS + file.readBigUInt64LE(DYNAMIC_AT + 24)) - BASE)
  return file.toString('latin1', at, file.indexOf(0, at))
}
