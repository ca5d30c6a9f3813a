/**
 * Windows in which a host may run either of two boots: kept in files, so that a timer can end them.
 *
 * @module
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { readIfThere, snippetsIn } from '../site/files.ts'

const WINDOW = v.object({
  schema: v.literal('towerkeep/window/v1'),
  host: v.string(),
  agent_id: v.string(),
  /** ISO 8601. */
  until: v.string(),
  /** PCR to its new value: what stays when the window ends. */
  pcrs: v.record(v.string(), v.string()),
})

/** One window. */
export type Window = v.InferOutput<typeof WINDOW>

/**
 * Opens a window.
 *
 * @param folder Made if missing.
 * @param window Which.
 * @returns Its file.
 */
export function openWindow(folder: string, window: Window): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = fileOf(folder, window.agent_id)
  writeFileSync(file, `${JSON.stringify(window, null, 2)}\n`, { mode: 0o600 })
  return file
}

/**
 * Reads the windows that are open.
 *
 * @param folder Their folder.
 * @returns Each that can be read.
 */
export function openWindows(folder: string): readonly Window[] {
  return snippetsIn(folder).flatMap((file) => {
    const read = readIfThere(file)
    if (read === undefined || 'problem' in read) return []
    try {
      return [v.parse(WINDOW, JSON.parse(read.text))]
    } catch {
      return []
    }
  })
}

/**
 * Closes a window.
 *
 * @param folder Its folder.
 * @param agentId The host's agent.
 */
export function closeWindow(folder: string, agentId: string): void {
  rmSync(fileOf(folder, agentId), { force: true })
}

function fileOf(folder: string, agentId: string): string {
  return join(folder, `${agentId.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.json`)
}
