/**
 * The exchange of a certificate and its key, at once, with owner, mode and access lists as they were; and the way back.
 *
 * @module
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { copyAttributes, syncFolder } from '../plan/replace-file.ts'

/** What is put in place. */
export interface NewPair {
  /** PEM, leaf first. */
  readonly chain: string
  /** PKCS#8 PEM. */
  readonly key: string
}

/** Where it goes. */
export interface PairFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** Modes of files that were not there before. */
export interface FirstAttributes {
  readonly certMode: number
  readonly keyMode: number
  /** Numbers of user and group; undefined: ours. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

/** A pair that was put in place. */
export interface Swapped {
  /** Takes the former pair back; where there was none, removes what was put. */
  back(): void
}

/** How many generations are kept. */
const KEPT = 5
const GENERATION = /^\d{4,}$/

/**
 * Puts a pair in place.
 *
 * Where the folder of both files is a symbolic link to a numbered folder (`agent -> gen/0042`), a new number is filled and
 * the link renamed: one step, and five numbers are kept. Else both files are written aside and renamed, the key first.
 *
 * @param pair The pair.
 * @param files Where it goes.
 * @param first Modes and owner of files that are not there yet.
 * @returns The way back.
 * @throws {Error} A folder or file cannot be written; nothing was changed.
 */
export function swapPair(pair: NewPair, files: PairFiles, first: FirstAttributes): Swapped {
  const link = dirname(files.certFile)
  return dirname(files.keyFile) === link && isGenerationLink(link)
    ? swapGeneration(pair, files, first, link)
    : swapFiles(pair, files, first)
}

function isGenerationLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink() && GENERATION.test(basename(readlinkSync(path)))
  } catch {
    return false
  }
}

function swapGeneration(pair: NewPair, files: PairFiles, first: FirstAttributes, link: string): Swapped {
  const former = readlinkSync(link)
  const formerFolder = resolve(dirname(link), former)
  const home = dirname(formerFolder)
  const numbers = readdirSync(home).filter((name) => GENERATION.test(name))
  const next = String(Math.max(...numbers.map(Number)) + 1).padStart(4, '0')
  const folder = join(home, next)
  mkdirSync(folder, { mode: 0o700 })
  try {
    likeFormer(formerFolder, folder)
    const at = (file: string): string => join(folder, basename(file))
    writeLike(files.keyFile, at(files.keyFile), pair.key, first.keyMode, first)
    writeLike(files.certFile, at(files.certFile), pair.chain, first.certMode, first)
    pointAt(link, join(dirname(former), next))
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  const old = numbers.toSorted((a, b) => Number(a) - Number(b)).slice(0, -(KEPT - 1))
  for (const name of old) if (name !== basename(former)) rmSync(join(home, name), { recursive: true, force: true })
  return { back: () => pointAt(link, former) }
}

function pointAt(link: string, target: string): void {
  const aside = `${link}.new`
  rmSync(aside, { force: true })
  symlinkSync(target, aside)
  renameSync(aside, link)
  syncFolder(dirname(link))
}

function swapFiles(pair: NewPair, { certFile, keyFile }: PairFiles, first: FirstAttributes): Swapped {
  const parts = [
    { file: keyFile, text: pair.key, mode: first.keyMode },
    { file: certFile, text: pair.chain, mode: first.certMode },
  ].map((part) => ({
    ...part,
    aside: `${part.file}.new`,
    former: `${part.file}.previous`,
    existed: existsSync(part.file),
  }))
  const back = (): void => {
    for (const { file, former, existed } of parts) {
      if (!existed) rmSync(file, { force: true })
      else if (existsSync(former)) renameSync(former, file)
    }
    for (const { file } of parts) syncFolder(dirname(file))
  }
  // Before that, what is kept beside them is the pair before the present one.
  let isKept = false
  try {
    for (const { file, aside, text, mode } of parts) writeLike(file, aside, text, mode, first)
    for (const { file, former, existed } of parts) {
      rmSync(former, { force: true })
      if (existed) linkSync(file, former)
    }
    isKept = true
    for (const { file, aside } of parts) renameSync(aside, file)
    for (const { file } of parts) syncFolder(dirname(file))
  } catch (error) {
    for (const { aside } of parts) rmSync(aside, { force: true })
    if (isKept) back()
    throw error
  }
  return { back }
}

/** Writes a file with all attributes of the one it stands for. */
function writeLike(like: string, path: string, text: string, mode: number, { owner }: FirstAttributes): void {
  rmSync(path, { force: true })
  const known = existsSync(like)
  if (known) copyAttributes(like, path)
  const file = openSync(path, known ? 'r+' : 'wx', 0o600)
  try {
    // Not writeSync, which may write a part of it and say nothing.
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  if (known) return
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  chmodSync(path, mode)
}

function likeFormer(former: string, folder: string): void {
  const { uid, gid, mode } = statSync(former)
  chownSync(folder, uid, gid)
  chmodSync(folder, mode & 0o7777)
}
