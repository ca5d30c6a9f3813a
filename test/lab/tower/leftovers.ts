/**
 * What a tower has left behind on this machine.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { controlSocket } from './control.ts'
import { namespacesOf } from './network.ts'

/**
 * Looks for namespaces, their files, mounts, processes, folders and sockets of a tower that is down.
 *
 * @returns One line for each; none when it left nothing.
 */
export function leftoversOf(prefix: string): readonly string[] {
  const begins = (name: string): boolean => name.startsWith(`${prefix}-`)
  const entries = (dir: string): readonly string[] => (existsSync(dir) ? readdirSync(dir).filter(begins) : [])
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return [
    ...namespacesOf(prefix).map((name) => `namespace ${name}`),
    ...entries('/etc/netns').map((name) => `/etc/netns/${name}`),
    ...entries(tmpdir()).map((name) => join(tmpdir(), name)),
    ...mounts.filter((mount) => mount.includes(`/${prefix}-`)).map((mount) => `mount ${mount}`),
    ...processesOf(prefix),
    ...(existsSync(controlSocket(prefix)) ? [controlSocket(prefix)] : []),
  ]
}

/** Processes whose command line holds the tower's folder. */
function processesOf(prefix: string): readonly string[] {
  const folder = join(tmpdir(), `${prefix}-`)
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map((pid) => ({ pid, command: commandOf(pid) }))
    .filter(({ command }) => command.includes(folder))
    .map(({ pid, command }) => `process ${pid}: ${command}`)
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
