// One line for how a parser ended, so that code and message are asserted together.

/**
 * Runs a parser.
 * @returns `accepted`, `CODE: message` for an error with a code, or `untyped ...` for any other.
 */
export function outcomeOf(run: () => unknown): string {
  try {
    run()
    return 'accepted'
  } catch (error) {
    return describeThrown(error)
  }
}

/** The same for a promise. */
export async function outcomeOfAsync(run: () => Promise<unknown>): Promise<string> {
  try {
    await run()
    return 'accepted'
  } catch (error) {
    return describeThrown(error)
  }
}

/** Lists the codes of a parser's outcomes for every proper prefix and for one byte more. */
export function outcomesOfLengths(bytes: Uint8Array, parse: (bytes: Uint8Array) => unknown): readonly string[] {
  const variants = Array.from(bytes, (_byte, length) => bytes.subarray(0, length))
  variants.push(Buffer.concat([bytes, Buffer.alloc(1)]))
  const codes = variants.map((variant) => outcomeOf(() => parse(variant)).split(':')[0] ?? '')
  return [...new Set(codes)].toSorted()
}

function describeThrown(error: unknown): string {
  if (error instanceof Error && 'code' in error && /^(?:TPM|KEYLIME)_/.test(String(error.code))) {
    return `${String(error.code)}: ${error.message}`
  }
  return `untyped ${String(error)}`
}
