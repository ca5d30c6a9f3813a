/**
 * The hosts of a tower as a run saw them, kept for the picture of the tower.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { TowerHost } from './host.ts'
import { newHost } from './hosts.ts'

/** One host as it was seen. */
export interface SeenHost {
  readonly name: string
  readonly names: readonly string[]
  readonly ip: string
  readonly agentId: string
  readonly agentKind: 'real' | 'stand-in'
  readonly mode: 'pull' | 'push'
}

const FILE = join(resolve(import.meta.dirname, '..', '..', '..'), '.tmp', 'tower-hosts.json')

/** Keeps the attested hosts of a tower. */
export function noteHosts(hosts: Iterable<TowerHost>): void {
  const seen = [...hosts].map(({ name, ip, agentId, agentKind, mode }) => ({
    name,
    names: newHost(name, ip).names,
    ip,
    agentId,
    agentKind,
    mode,
  }))
  mkdirSync(dirname(FILE), { recursive: true })
  writeFileSync(FILE, JSON.stringify(seen, undefined, 2))
}

/** Reads them; none before the first run. */
export function readHosts(): readonly SeenHost[] {
  try {
    return JSON.parse(readFileSync(FILE, 'utf8')) as readonly SeenHost[]
  } catch {
    return []
  }
}
