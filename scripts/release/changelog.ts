/** What CHANGELOG.md says of a version, for the tag and the release page. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectVersion, root } from './lockfile.ts'

/**
 * Takes the entry of one version out of a changelog.
 *
 * @param changelog Text whose entries begin with `## <version>`.
 * @param version Without a leading `v`.
 * @returns The entry without its heading.
 * @throws {Error} There is no such entry, or it says nothing.
 */
export function changelogEntry(changelog: string, version: string): string {
  const entries = changelog.split(/^## /m).slice(1)
  const entry = entries.find((each) => each.split(/\s/, 1)[0] === version)
  const text = entry?.slice(entry.indexOf('\n')).trim() ?? ''
  if (text === '')
    throw new Error(`CHANGELOG.md has no entry for ${version}: move what is unreleased under "## ${version}"`)
  return text
}

/**
 * Reads the entry of a tag.
 *
 * @param tag Such as `v0.2.0`.
 * @throws {Error} The tag is not of this version, or the changelog has no entry for it.
 */
export function notesOf(tag: string): string {
  const version = projectVersion()
  if (tag !== `v${version}`) throw new Error(`the tag is ${tag}, package.json says ${version}: expected v${version}`)
  return changelogEntry(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version)
}

/**
 * Tags the commit that is checked out with this version and its entry.
 *
 * @returns Name of the tag.
 * @throws {Error} The tree is not clean, the version has no entry, or the tag exists.
 */
export function tagRelease(): string {
  const changed = git('status', '--porcelain').trim()
  if (changed !== '') throw new Error(`the tree is not clean, commit first:\n${changed}`)
  const tag = `v${projectVersion()}`
  git('tag', '--annotate', tag, '--message', `Tower of Omens ${projectVersion()}\n\n${notesOf(tag)}`)
  return tag
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' })
}
