/**
 * How much a run measures.
 *
 * @module
 */

/** Sizes of every part. */
export interface Scale {
  readonly rounds: number
  /** Attestations in flight, one level after the other. */
  readonly levels: readonly number[]
  /** Nodes that attest in turn in (a). */
  readonly nodes: number
  /** A level ends after so many attestations or seconds. */
  readonly attestations: number
  readonly seconds: number
  readonly stormNodes: number
  readonly launches: number
  readonly idleSeconds: number
  readonly soak: number
  readonly soakGo: number
}

/** What the published numbers come from. */
export const FULL: Scale = {
  rounds: 5,
  levels: [1, 8, 32, 128],
  nodes: 64,
  attestations: 4000,
  seconds: 8,
  stormNodes: 5000,
  launches: 20,
  idleSeconds: 3,
  soak: 60_000,
  soakGo: 6000,
}

/** Enough to see that every part runs. */
export const QUICK: Scale = {
  rounds: 2,
  levels: [1, 32],
  nodes: 16,
  attestations: 1000,
  seconds: 2,
  stormNodes: 600,
  launches: 4,
  idleSeconds: 1,
  soak: 4000,
  soakGo: 1000,
}
