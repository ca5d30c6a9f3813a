/**
 * Windows in which a host may run either of two boots: kept in files, so that a timer can end them.
 *
 * @module
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Step } from '../plan/step.ts'
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
  // One that is cut short would be no window, and what it lets pass would pass for ever.
  writeFileSync(`${file}.new`, `${JSON.stringify(window, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return file
}

/**
 * Reads the windows that are open.
 *
 * @param folder Their folder.
 * @returns Each that can be read.
 */
export function openWindows(folder: string): readonly Window[] {
  const files = snippetsIn(folder).filter((file) => file.endsWith('.json'))
  return files.flatMap((file) => {
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
 * Tells whether the time of a window is over.
 *
 * @param window Which.
 * @param now Milliseconds since the epoch.
 * @returns True also where its end is no date.
 */
export function isOver({ until }: Pick<Window, 'until'>, now: number): boolean {
  return !(Date.parse(until) > now)
}

/**
 * Plans the opening of a window.
 *
 * @param folder Where windows are kept.
 * @param window Which.
 * @returns The step; taken back, the window that was there before is there again.
 */
export function windowStep(folder: string, window: Window): Step {
  const before = openWindows(folder).find(({ agent_id: id }) => id === window.agent_id)
  return {
    id: 'window',
    title: `remember that the window ends at ${window.until}`,
    act: () => Promise.resolve({ file: openWindow(folder, window) }),
    undo: () => {
      if (before === undefined) closeWindow(folder, window.agent_id)
      else openWindow(folder, before)
      return Promise.resolve()
    },
  }
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
