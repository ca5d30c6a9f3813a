/**
 * Checks of the plugin's executable: is it the one that was pinned, the one that runs, and ours.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { type Finding, finding } from '../findings/finding.ts'
import type { SpireConf } from '../site/spire-conf.ts'
import type { Check } from './check.ts'
import { unseen, type View } from './view.ts'

/** The checks. */
export const PLUGIN_CHECKS: readonly Check[] = [
  {
    id: 'plugin-sum',
    area: 'plugin',
    finds: ['TK-PLUGIN-SUM', 'TK-PLUGIN-UNPINNED', 'TK-PLUGIN-FOREIGN'],
    needs: "SPIRE's configuration and the plugin's file",
    blind: 'what a plugin that is not ours checks',
    run: ({ site }) => [site.spireServer, site.spireAgent].flatMap(sumFindings),
  },
  {
    id: 'plugin-running',
    area: 'plugin',
    finds: ['TK-PLUGIN-SWAPPED'],
    needs: 'root, or the user of SPIRE',
    blind: 'a process whose memory was changed',
    run: (view) => [view.site.spireServer, view.site.spireAgent].flatMap((conf) => runningFindings(conf, view)),
  },
  {
    id: 'plugin-bootstrap',
    area: 'plugin',
    finds: ['TK-PLUGIN-INSECURE'],
    needs: 'agent.conf',
    blind: 'flags on the command line',
    run: ({ site }) => {
      const insecure = site.spireAgent?.text('agent', 'insecure_bootstrap')
      return insecure?.value === 'true'
        ? [finding('TK-PLUGIN-INSECURE', { subject: insecure.from, message: 'insecure_bootstrap is true' })]
        : []
    },
  },
]

const PATH = ['plugins', 'NodeAttestor', 'keylime'] as const

function sumFindings(conf: SpireConf | undefined): readonly Finding[] {
  const command = conf?.text(...PATH, 'plugin_cmd')
  if (conf === undefined || command === undefined) return []
  if (!existsSync(command.value)) {
    return [finding('TK-PLUGIN-SUM', { subject: command.value, message: `does not exist; ${command.from} names it` })]
  }
  const pinned = conf.text(...PATH, 'plugin_checksum')
  const found = sha256Of(command.value)
  if (found === undefined) return [unseen(command.value, 'this user may not read it')]
  const foreign = isOurs(command.value)
    ? []
    : [finding('TK-PLUGIN-FOREIGN', { subject: command.value, message: `is ${kindOf(command.value)}` })]
  if (pinned === undefined || pinned.value === '') {
    return [
      ...foreign,
      finding('TK-PLUGIN-UNPINNED', {
        subject: command.value,
        message: 'has no plugin_checksum',
        evidence: { sha256: found },
        command: `towerkeep pin --write ${conf.file}`,
      }),
    ]
  }
  if (pinned.value.toLowerCase() === found) return foreign
  const message = `has ${found}, ${pinned.from} has ${pinned.value}`
  return [
    ...foreign,
    finding('TK-PLUGIN-SUM', {
      subject: command.value,
      message,
      evidence: { sha256: found, pinned: pinned.value },
      command: `towerkeep pin --write ${conf.file}`,
    }),
  ]
}

function runningFindings(conf: SpireConf | undefined, { procFolder }: View): readonly Finding[] {
  const command = conf?.text(...PATH, 'plugin_cmd')?.value
  if (command === undefined) return []
  const onDisk = sha256Of(command)
  return processesOf(command, procFolder).flatMap((pid) => {
    const running = sha256Of(join(procFolder, pid, 'exe'))
    if (running === undefined || onDisk === undefined || running === onDisk) return []
    const message = `process ${pid} runs ${running}, the file has ${onDisk}`
    return [
      finding('TK-PLUGIN-SWAPPED', {
        subject: command,
        message,
        evidence: { pid: Number(pid), running, file: onDisk },
      }),
    ]
  })
}

// A file that was replaced is called "(deleted)" by its process.
function processesOf(command: string, procFolder: string): readonly string[] {
  return readdirSync(procFolder).filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readlinkSync(join(procFolder, pid, 'exe')).replace(/ \(deleted\)$/, '') === command
    } catch {
      return false
    }
  })
}

/**
 * Computes the SHA-256 of a file.
 *
 * @param path The file.
 * @returns Hex, or undefined when it cannot be read.
 */
export function sha256Of(path: string): string | undefined {
  try {
    const hash = createHash('sha256')
    const file = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(1024 * 1024)
      for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
        hash.update(buffer.subarray(0, read))
    } finally {
      closeSync(file)
    }
    return hash.digest('hex')
  } catch {
    return undefined
  }
}

// Our executables are Node with one script inside.
function isOurs(path: string): boolean {
  return contains(path, 'NODE_SEA_BLOB') || /\.(ts|js|mjs|cjs)$/.test(path)
}

function kindOf(path: string): string {
  const begin = readFileSync(path).subarray(0, 2).toString('latin1')
  if (begin === '#!') return 'a script, whose checksum says nothing of what it starts'
  return contains(path, 'Go buildinf:') ? 'a Go program' : 'an unknown program'
}

function contains(path: string, marker: string): boolean {
  return readFileSync(path).includes(marker)
}
