/**
 * Small damage to an input: what a bad editor, a cut connection or an attacker makes of it.
 *
 * @module
 */
import type { Random } from './random.ts'

/** What a mutant is made from. */
export interface Stock {
  /** Whole inputs to start from; at least one. */
  readonly corpus: readonly Buffer[]
  /** Pieces worth inserting: tokens, lengths, magic numbers. May be empty. */
  readonly pieces: readonly Buffer[]
}

const MAX_EDITS = 4
const MAX_RUN = 16

/**
 * Makes one mutant.
 *
 * @returns A new buffer: one input of the corpus with one to four edits.
 */
export function mutate(stock: Stock, random: Random): Buffer {
  let input = random.pick(stock.corpus)
  for (let edits = 1 + random.next(MAX_EDITS); edits > 0; edits -= 1) input = edit(input, stock, random)
  return input
}

function edit(input: Buffer, stock: Stock, random: Random): Buffer {
  const at = random.next(input.length + 1)
  const run = 1 + random.next(MAX_RUN)
  switch (random.next(8)) {
    case 0:
      return flip(input, at, random)
    case 1:
      return splice(input, at, run, Buffer.alloc(0))
    case 2:
      return splice(input, at, 0, input.subarray(at, at + run))
    case 3:
      return input.subarray(0, at)
    case 4:
      return splice(input, at, random.next(2), Buffer.from([random.next(256)]))
    case 5:
      return cross(input, at, random.pick(stock.corpus), random)
    default:
      return splice(input, at, random.next(2) * run, stock.pieces.length > 0 ? random.pick(stock.pieces) : input)
  }
}

function flip(input: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(input)
  if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << random.next(8))
  return copy
}

function splice(input: Buffer, at: number, drop: number, insert: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, at), insert, input.subarray(at + drop)])
}

/** The head of one input on the tail of another. */
function cross(input: Buffer, at: number, other: Buffer, random: Random): Buffer {
  return Buffer.concat([input.subarray(0, at), other.subarray(random.next(other.length + 1))])
}
