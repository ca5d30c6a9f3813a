/**
 * Users' and groups' names and groups as the local files have them, for messages about who may open what.
 *
 * @module
 */
import { readFileSync } from 'node:fs'

/**
 * Finds a user's name.
 *
 * @param uid The number.
 * @param file The passwd file.
 * @returns The name, or the number as text when the file does not say.
 */
export function userName(uid: number, file = '/etc/passwd'): string {
  return nameIn(file, uid)
}

/**
 * Finds a group's name.
 *
 * @param gid The number.
 * @param file The group file.
 * @returns The name, or the number as text when the file does not say.
 */
export function groupName(gid: number, file = '/etc/group'): string {
  return nameIn(file, gid)
}

// Both files have the name first and the number third.
function nameIn(file: string, id: number): string {
  try {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const [name, , number] = line.split(':')
      if (number === String(id) && name !== undefined) return name
    }
  } catch {
    // Without the file the number has to do.
  }
  return String(id)
}
