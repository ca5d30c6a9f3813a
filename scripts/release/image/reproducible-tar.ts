/** Tar files whose bytes tell nothing of the machine or the hour. */
import { execFileSync } from 'node:child_process'
import { SOURCE_DATE_EPOCH } from '../deb.ts'

/** The order of names; one time; one owner; modes that no umask has changed. */
const ALIKE = [
  '--format=ustar',
  '--sort=name',
  `--mtime=@${SOURCE_DATE_EPOCH}`,
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--mode=u=rwX,go=rX',
]

/**
 * Packs files and folders.
 *
 * @param folder Where they are.
 * @param names Their names there.
 * @param tar Path of the file to write.
 * @throws {Error} GNU tar is missing, or a name is.
 */
export function packAlike(folder: string, names: readonly string[], tar: string): void {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' }
  execFileSync('tar', [...ALIKE, '-cf', tar, '-C', folder, ...names], { env })
}
