/**
 * The events of a boot log in TCG's crypto-agile form: what was measured into which PCR.
 *
 * Nothing of it is trusted: events count only as far as they lead to a PCR value that was proved.
 *
 * @see TCG PC Client Platform Firmware Profile 1.06, section 10
 * @module
 */
import { createHash } from 'node:crypto'

/** One measurement. */
export interface BootEvent {
  readonly pcr: number
  /** SHA-256, hex. */
  readonly digest: string
  /** What is measured, for people. */
  readonly what: string
}

const EV_NO_ACTION = 0x3
const SHA256 = 0x000b
const DIGEST_BYTES: Readonly<Record<number, number>> = { 0x0004: 20, 0x000b: 32, 0x000c: 48, 0x000d: 64, 0x0012: 32 }
const MAX_EVENTS = 10_000
const TYPES: Readonly<Record<number, string>> = {
  0x1: 'POST code',
  0x4: 'separator',
  0x5: 'action',
  0x7: 'CRTM contents',
  0x8: 'CRTM version',
  0xd: 'boot loader or kernel',
  0x80000001: 'EFI variable',
  0x80000002: 'EFI boot variable',
  0x80000003: 'EFI boot services application',
  0x80000004: 'EFI boot services driver',
  0x80000006: 'partition table',
  0x80000007: 'EFI action',
  0x80000008: 'firmware blob',
  0x800000e0: 'EFI variable authority',
}

/**
 * Reads a boot log.
 *
 * @param log The bytes; untrusted.
 * @returns Its events with a SHA-256 digest, as far as the log is well formed.
 */
export function bootEvents(log: Buffer): readonly BootEvent[] {
  const events: BootEvent[] = []
  // The first event has the old form, and names the banks.
  let at = log.length >= 32 ? 32 + log.readUInt32LE(28) : log.length
  while (at + 12 <= log.length && events.length < MAX_EVENTS) {
    const read = eventAt(log, at)
    if (read === undefined) break
    if (read.event !== undefined) events.push(read.event)
    at = read.next
  }
  return events
}

function eventAt(
  log: Buffer,
  start: number,
): { readonly event: BootEvent | undefined; readonly next: number } | undefined {
  const [pcr, type, count] = [log.readUInt32LE(start), log.readUInt32LE(start + 4), log.readUInt32LE(start + 8)]
  let at = start + 12
  let digest: string | undefined
  for (let index = 0; index < count; index += 1) {
    const bytes = at + 2 <= log.length ? DIGEST_BYTES[log.readUInt16LE(at)] : undefined
    if (bytes === undefined || at + 2 + bytes > log.length) return undefined
    if (log.readUInt16LE(at) === SHA256) digest = log.subarray(at + 2, at + 2 + bytes).toString('hex')
    at += 2 + bytes
  }
  if (at + 4 > log.length) return undefined
  const size = log.readUInt32LE(at)
  const data = log.subarray(at + 4, at + 4 + size)
  if (data.length < size) return undefined
  const isMeasured = type !== EV_NO_ACTION && digest !== undefined && pcr < 24
  return {
    event: isMeasured ? { pcr, digest: digest ?? '', what: whatOf(type, data) } : undefined,
    next: at + 4 + size,
  }
}

function whatOf(type: number, data: Buffer): string {
  const name = TYPES[type] ?? `event 0x${type.toString(16)}`
  const text = data.toString('latin1').replaceAll('\0', '')
  const isText = text !== '' && /^[\x20-\x7e]+$/.test(text)
  return isText ? `${name}: ${text.slice(0, 80)}` : name
}

/**
 * Computes the value that events lead a PCR to.
 *
 * @param events In order.
 * @param pcr Which.
 * @returns SHA-256 bank, hex.
 */
export function replayed(events: readonly BootEvent[], pcr: number): string {
  let value = Buffer.alloc(32)
  for (const event of events) {
    if (event.pcr === pcr) value = createHash('sha256').update(value).update(Buffer.from(event.digest, 'hex')).digest()
  }
  return value.toString('hex')
}

/**
 * Compares two boots.
 *
 * @param before Events of the baseline.
 * @param now Events of the present boot.
 * @param pcr Which PCR.
 * @returns Lines: `-` only before, `+` only now.
 */
export function eventChanges(before: readonly BootEvent[], now: readonly BootEvent[], pcr: number): readonly string[] {
  const of = (events: readonly BootEvent[]): readonly BootEvent[] => events.filter((event) => event.pcr === pcr)
  const [old, present] = [of(before), of(now)]
  const gone = old.filter(({ digest }) => !present.some((event) => event.digest === digest))
  const came = present.filter(({ digest }) => !old.some((event) => event.digest === digest))
  return [...gone.map(({ what }) => `- ${what}`), ...came.map(({ what }) => `+ ${what}`)]
}
