/**
 * Which registration entries reach an agent: those under its own ID, and those under an alias whose selectors it has.
 *
 * @module
 */
import type { SpireAgent, SpireEntry, SpireSelector } from '@tower-of-omens/spire-api'

/** The entries of one agent. */
export interface AgentEntries {
  /** Under its own ID or an alias of it. */
  readonly matching: readonly SpireEntry[]
  /** Aliases it belongs to, by SPIFFE ID. */
  readonly aliases: readonly string[]
  /** Aliases that lack some selector, the nearest first, with what is missing. */
  readonly near: readonly { readonly alias: string; readonly missing: readonly string[] }[]
}

/**
 * Finds the entries of an agent.
 *
 * @param agent The agent, with its selectors.
 * @param entries All entries.
 * @param serverId SPIFFE ID of the SPIRE server, the parent of aliases.
 * @returns Entries, aliases, and aliases that nearly fit.
 * @see spiffe/spire ef8527ec9, pkg/server/cache/entrycache
 */
export function entriesOf(agent: SpireAgent, entries: readonly SpireEntry[], serverId: string): AgentEntries {
  const owned = new Set(agent.selectors.map(selectorText))
  const nodeEntries = entries.filter(({ parentId }) => parentId === serverId)
  const missingOf = (entry: SpireEntry): readonly string[] =>
    entry.selectors.map(selectorText).filter((text) => !owned.has(text))
  const aliases = nodeEntries.filter((entry) => missingOf(entry).length === 0).map(({ spiffeId }) => spiffeId)
  const parents = new Set([agent.id, ...aliases])
  const near = nodeEntries
    .map((entry) => ({ alias: entry.spiffeId, missing: missingOf(entry), of: entry.selectors.length }))
    .filter(({ missing, of }) => missing.length > 0 && missing.length < of)
    .toSorted((a, b) => a.missing.length - b.missing.length)
  return {
    matching: entries.filter(({ parentId }) => parents.has(parentId)),
    aliases,
    near: near.map(({ alias, missing }) => ({ alias, missing })),
  }
}

/**
 * Writes a selector as SPIRE's command line does.
 *
 * @param selector The selector.
 * @returns Such as `unix:uid:1000`.
 */
export function selectorText({ type, value }: SpireSelector): string {
  return `${type}:${value}`
}
