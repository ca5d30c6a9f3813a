/**
 * Another configuration of the plugin, put in force without a restart of SPIRE.
 *
 * @see spiffe/spire ef8527ec9, doc/spire_server.md, `plugin_data_file`
 * @module
 */
import { readFileSync } from 'node:fs'
import { readAsked } from '../../server-attestor/config.ts'
import { refusedBecause } from '../act/preconditions.ts'
import { OperatorError } from '../operator-error.ts'
import { replaceFile } from '../plan/replace-file.ts'
import type { Plan } from '../plan/step.ts'
import { pathOf, type SiteProcess } from '../site/processes.ts'
import { type Site, spireConfOf } from '../site/site.ts'

/**
 * Plans the change.
 *
 * @param site What is on this machine.
 * @param file Path of the next `plugin_data`.
 * @returns The plan: the file that SPIRE reads is replaced, and each SPIRE server that reads it is told.
 * @throws {OperatorError} `TK-CONF-INVALID`: the next one is wrong. `TK-ACT-REFUSED`: SPIRE reads no file.
 */
export function pluginDataPlan(site: Site, file: string): Plan {
  const readers = readersOf(site)
  const target = targetIn(site, readers)
  const next = textIn(file)
  const { problems } = readAsked(next)
  if (problems.length > 0) {
    throw new OperatorError('TK-CONF-INVALID', problems.map((problem) => `${file}:${problem}`).join('; '))
  }
  const before = textIn(target)
  const pids = readers.map(({ pid }) => pid)
  const told = pids.length > 0 ? `tell spire-server (process ${pids.join(', ')}) to read it` : 'tell nobody: none runs'
  return {
    verb: 'policy apply',
    subject: target,
    onFailure: 'undo',
    steps: [
      {
        id: 'apply',
        title: `write ${target} and ${told}`,
        isDone: () => Promise.resolve(before === next),
        act: () => {
          replaceFile(target, next)
          for (const pid of pids) tell(pid)
          return Promise.resolve({ file: target, told: pids.join(' ') })
        },
        undo: () => {
          replaceFile(target, before)
          for (const pid of pids) tellAgain(pid)
          return Promise.resolve()
        },
      },
    ],
  }
}

// Commands of SPIRE's own are processes of the same name, and end by this signal; so only servers, and of this file.
function readersOf({ processes, spireServer }: Site): readonly SiteProcess[] {
  return processes.filter(
    (one) => one.program === 'spire-server' && one.words[0] === 'run' && spireConfOf(one) === spireServer?.file,
  )
}

function targetIn({ spireServer }: Site, [reader]: readonly SiteProcess[]): string {
  const named = spireServer?.text('plugins', 'NodeAttestor', 'keylime', 'plugin_data_file')?.value
  if (named === undefined) {
    throw refusedBecause(
      `${spireServer?.file ?? 'server.conf'} gives the plugin its data in a plugin_data block, which SPIRE reads at its start alone: use plugin_data_file`,
    )
  }
  return reader === undefined ? named : pathOf(reader, named)
}

// SPIRE reads the data of its plugins again at this signal.
function tell(pid: number): void {
  process.kill(pid, 'SIGUSR1')
}

function tellAgain(pid: number): void {
  try {
    tell(pid)
  } catch {
    // It has ended, or was never told: it reads the old file when it starts, or has it still.
  }
}

function textIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    throw new OperatorError('TK-USAGE', `${file}: cannot be read (${why})`, { cause })
  }
}
