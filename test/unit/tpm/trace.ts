// What tpm2-tools 5.4 sent to swtpm 0.7.1, and what came back.
import { readFileSync } from 'node:fs'

interface Entry {
  readonly step: string
  readonly command: string
  readonly response: string
}

const entries = JSON.parse(
  readFileSync(new URL('../../fixtures/tpm/tpm2-tools-trace.json', import.meta.url), 'utf8'),
) as readonly Entry[]

/** One command of the trace and its response. */
export interface Exchange {
  readonly command: Buffer
  readonly response: Buffer
}

/**
 * Finds exchanges.
 * @returns Those that succeeded, in order.
 */
export function exchanges(tool: string, code: number): readonly Exchange[] {
  return entries
    .filter(({ step, response }) => step.startsWith(tool) && response.slice(12, 20) === '00000000')
    .map(({ command, response }) => ({ command: Buffer.from(command, 'hex'), response: Buffer.from(response, 'hex') }))
    .filter(({ command }) => command.readUInt32BE(6) === code)
}

/** Leaves the authorisations out of a command: tpm2-tools authorises by HMAC sessions where we give a password. */
export function withoutAuthorizations(command: Buffer, handles: number): Buffer {
  const end = 10 + handles * 4
  if (command.readUInt16BE() === 0x8001) return command.subarray(6)
  return Buffer.concat([command.subarray(6, end), command.subarray(end + 4 + command.readUInt32BE(end))])
}
