/**
 * The Keylime agent's key file, read from this node.
 *
 * @module
 */
import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isKeylimeError } from '@tower-of-omens/keylime'
import { type AgentData, parseAgentData } from '@tower-of-omens/keylime/evidence'
import { readTextFile } from '@tower-of-omens/keylime/tls-files'
import { currentUser } from '@tower-of-omens/tpm-device'
import { NodeError, NotStartedYet } from '../node-error.ts'

/** The file's key, or why there is none. */
export type KeyFile = { readonly data: AgentData } | { readonly problem: string; readonly kind: Kind }

const ATTEMPTS = 3
const PAUSE_MS = 100

/**
 * Reads the file once.
 *
 * @param path Of `agent_data.json`.
 * @returns The key, or one sentence with path and next step.
 */
export function readKeyFile(path: string): KeyFile {
  const file = readTextFile(path)
  if ('problem' in file) {
    const kind = kindOf(file.problem)
    return { problem: `${path} ${file.problem}: ${nextStep(path, kind)}`, kind }
  }
  try {
    return { data: parseAgentData(file.text) }
  } catch (error) {
    if (!isKeylimeError(error)) throw error
    return { problem: `${path}: ${error.message}; ${nextStep(path, 'malformed')}`, kind: 'malformed' }
  }
}

/**
 * Reads the file; one that does not parse is tried again, since the Keylime agent does not write it in one piece.
 *
 * @param path Of `agent_data.json`.
 * @param pause Waits; default a timer.
 * @returns The key.
 * @throws {NotStartedYet} `KL-NODE-KEY-FILE`: there is no such file.
 * @throws {NodeError} `KL-NODE-KEY-FILE-UNREADABLE`: this user may not read it. `KL-NODE-KEY-FILE`: it is another file.
 */
export async function requireKeyFile(
  path: string,
  pause: (ms: number) => Promise<unknown> = delay,
): Promise<AgentData> {
  for (let attempt = 1; ; attempt++) {
    const read = readKeyFile(path)
    if ('data' in read) return read.data
    const text = `keylime agent's key file ${read.problem}`
    if (read.kind === 'missing') throw new NotStartedYet('KL-NODE-KEY-FILE', text)
    if (read.kind === 'unreadable') throw new NodeError('KL-NODE-KEY-FILE-UNREADABLE', text)
    if (attempt === ATTEMPTS) throw new NodeError('KL-NODE-KEY-FILE', text)
    await pause(PAUSE_MS)
  }
}

/**
 * Tells one writing of the file from another.
 *
 * @param path Of `agent_data.json`.
 * @returns A text that differs when the file was written anew; `none` when it cannot be looked at.
 */
export function keyFileVersion(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path)
    return `${ino}/${size}/${mtimeMs}`
  } catch {
    return 'none'
  }
}

type Kind = 'missing' | 'unreadable' | 'malformed'

function kindOf(problem: string): Kind {
  if (problem.startsWith('does not exist')) return 'missing'
  return problem.startsWith('cannot be') ? 'unreadable' : 'malformed'
}

function nextStep(path: string, kind: Kind): string {
  if (kind === 'missing') {
    return 'the keylime agent has not started yet, or its agent_data_path is another (keylime_agent_data)'
  }
  if (kind === 'malformed') return 'restart the keylime agent, which writes it anew'
  return `grant it with "setfacl -m u:${currentUser()}:r ${path}", and :x on folders that do not let us in`
}
