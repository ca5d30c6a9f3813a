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
  /** Nodes that attest in turn. */
  readonly nodes: number
  /** Attestations before a burst, for the just-in-time compiler; three seconds at most. */
  readonly warmUp: number
  /** A burst ends after so many attestations or seconds. */
  readonly attestations: number
  readonly seconds: number
  /** Fresh processes whose first attestations are measured. */
  readonly coldRounds: number
  readonly stormNodes: number
  readonly stormRounds: number
  readonly spireRounds: number
  readonly launches: number
  readonly idleSeconds: number
  readonly soak: number
  readonly soakGo: number
  readonly reconfigurations: number
  readonly growthNodes: readonly number[]
  readonly growthInFlight: readonly number[]
  /** PCRs that the enrolled policy compares: each is a selector. */
  readonly growthPcrs: readonly number[]
  /** Fleets behind a real spire-server. */
  readonly modelNodes: readonly number[]
}

/** What the published numbers come from: under twenty minutes with the Go pair on two quiet cores. */
export const FULL: Scale = {
  rounds: 5,
  levels: [1, 32, 128],
  nodes: 64,
  warmUp: 2000,
  attestations: 6000,
  seconds: 2,
  coldRounds: 9,
  stormNodes: 5000,
  stormRounds: 2,
  spireRounds: 3,
  launches: 8,
  idleSeconds: 3,
  soak: 60_000,
  soakGo: 6000,
  reconfigurations: 1000,
  growthNodes: [1, 100, 5000],
  growthInFlight: [1, 32, 128, 1000],
  growthPcrs: [0, 4, 21],
  modelNodes: [1000, 5000, 10_000],
}

/** Enough to see that every part runs. */
export const QUICK: Scale = {
  rounds: 2,
  levels: [1, 32],
  nodes: 16,
  warmUp: 300,
  attestations: 2000,
  seconds: 1.5,
  coldRounds: 3,
  stormNodes: 600,
  stormRounds: 1,
  spireRounds: 2,
  launches: 4,
  idleSeconds: 1,
  soak: 3000,
  soakGo: 600,
  reconfigurations: 20,
  growthNodes: [1, 100],
  growthInFlight: [1, 32],
  growthPcrs: [0, 21],
  modelNodes: [100, 300],
}
