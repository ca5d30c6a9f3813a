import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { withoutDebugSections } from '../../../../plugins/go-plugin/bundle/slim-elf.ts'

const node = readFileSync(process.execPath)
const slim = withoutDebugSections(node)

/** Reads the names of all sections, by the tables of the file itself. */
function sectionNames(file: Buffer): string[] {
  const table = Number(file.readBigUInt64LE(40))
  const header = (index: number): Buffer => file.subarray(table + index * 64, table + index * 64 + 64)
  const names = Number(header(file.readUInt16LE(62)).readBigUInt64LE(24))
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const start = names + header(index).readUInt32LE(0)
    return file.toString('latin1', start, file.indexOf(0, start))
  })
}

describe('withoutDebugSections', () => {
  it('leaves a program that runs [pkg:executable:slim]', () => {
    const folder = mkdtempSync(join(tmpdir(), 'slim-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'node')
    writeFileSync(file, slim)
    chmodSync(file, 0o755)
    expect(execFileSync(file, ['--print', '6 * 7'], { encoding: 'utf8' })).toBe('42\n')
  })

  it('drops what is not loaded, and only that', () => {
    expect(sectionNames(slim)).toEqual(sectionNames(node).filter((name) => sectionNames(slim).includes(name)))
    expect(sectionNames(slim)).toEqual(
      expect.arrayContaining(['', '.interp', '.text', '.rodata', '.dynamic', '.shstrtab']),
    )
    expect(sectionNames(slim).filter((name) => /debug|symtab|^\.strtab|comment/.test(name))).toEqual([])
    expect(slim.length).toBeLessThan(node.length)
  })

  it('keeps every loaded byte where it was', () => {
    const loaded = Number(slim.readBigUInt64LE(40)) - 512
    expect(slim.subarray(64, loaded).equals(node.subarray(64, loaded))).toBe(true)
  })

  it('gives a slim file back as it is', () => {
    expect(withoutDebugSections(slim).equals(slim)).toBe(true)
  })

  it.each([
    ['a script', Buffer.from('#!/bin/sh\n')],
    ['an ELF file of 32 bits', Buffer.concat([Buffer.from('\x7fELF\x01\x01', 'latin1'), Buffer.alloc(100)])],
  ])('refuses %s', (_name, file) => {
    expect(() => withoutDebugSections(file)).toThrow('not a little-endian ELF-64 file')
  })
})
