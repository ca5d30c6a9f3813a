/**
 * IMA measurements as the kernel would list them, and the runtime policy that allows them.
 *
 * @see keylime, runtime policy version 1; Linux Documentation/security/IMA-templates.rst, template `ima-ng`
 * @module
 */
import { createHash } from 'node:crypto'

/** One measured file. */
export interface Measurement {
  readonly path: string
  /** SHA-256 of the file's content, hex. */
  readonly digest: string
}

/** A line of the list, and what PCR 10 is extended with for it. */
export interface ListEntry {
  /** With its line feed. */
  readonly line: string
  /** Hex, for the SHA-256 bank. */
  readonly extend: string
}

const PCR_IMA = 10

/**
 * Words one measurement as the kernel does.
 *
 * @returns The list's line, and the digest that goes into PCR 10.
 */
export function listEntry(measurement: Measurement): ListEntry {
  const digest = Buffer.concat([Buffer.from('sha256:\0'), Buffer.from(measurement.digest, 'hex')])
  const data = Buffer.concat([sized(digest), sized(Buffer.from(`${measurement.path}\0`))])
  const sha1 = createHash('sha1').update(data).digest('hex')
  return {
    line: `${PCR_IMA} ${sha1} ima-ng sha256:${measurement.digest} ${measurement.path}\n`,
    extend: createHash('sha256').update(data).digest('hex'),
  }
}

/**
 * Makes the runtime policy that allows exactly these files.
 *
 * @returns Its JSON text.
 */
export function runtimePolicy(measurements: readonly Measurement[]): string {
  const policy = {
    meta: { version: 1, generator: 3, timestamp: '2026-01-01 00:00:00' },
    release: 0,
    digests: Object.fromEntries(measurements.map(({ path, digest }) => [path, [digest]])),
    excludes: [],
    keyrings: {},
    ima: { ignored_keyrings: [], log_hash_alg: 'sha1', dm_policy: null },
    'ima-buf': {},
    'verification-keys': '',
  }
  return JSON.stringify(policy)
}

function sized(data: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(data.length)
  return Buffer.concat([length, data])
}
