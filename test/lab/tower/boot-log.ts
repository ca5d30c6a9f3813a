/**
 * A measured boot: the firmware's event log, and the digests that go into the TPM before the host is up.
 *
 * @see TCG PC Client Platform Firmware Profile 1.06, section 10 (event log)
 * @module
 */
import { createHash } from 'node:crypto'

/** What one boot ran. */
export interface BootStory {
  /** Firmware image, any text. */
  readonly firmware: string
  /** Boot loader, any text. */
  readonly loader: string
  /** Kernel, any text. */
  readonly kernel: string
}

/** One measurement: which PCR, and the SHA-256 it is extended with, hex. */
export interface BootExtend {
  readonly pcr: number
  readonly digest: string
}

interface BootEvent {
  readonly pcr: number
  readonly type: number
  readonly event: Buffer
  /** What is measured, when it is not the event itself. */
  readonly measured?: Buffer
}

const EV_NO_ACTION = 0x3
const EV_SEPARATOR = 0x4
const EV_S_CRTM_VERSION = 0x8
const EV_IPL = 0xd
const EV_EFI_ACTION = 0x80000007
const EV_EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008
const ALG_SHA256 = 0x000b

/** The boot that every host of the tower is enrolled with. */
export const GOOD_BOOT: BootStory = { firmware: 'firmware 1.0', loader: 'loader 2.12', kernel: 'kernel 6.12' }

/**
 * Writes the event log of a boot.
 *
 * @returns Bytes of `binary_bios_measurements`.
 */
export function bootLog(story: BootStory): Buffer {
  return Buffer.concat([specIdEvent(), ...events(story).map((event) => encode(event))])
}

/** Lists what a boot extends, in order. */
export function bootExtends(story: BootStory): readonly BootExtend[] {
  return events(story).map((event) => ({ pcr: event.pcr, digest: digestOf(event).toString('hex') }))
}

/** Computes the values that PCRs 0 to 9 hold after a boot. */
export function bootPcrs(story: BootStory): ReadonlyMap<number, string> {
  const values = new Map<number, Buffer>()
  for (const { pcr, digest } of bootExtends(story)) {
    const before = values.get(pcr) ?? Buffer.alloc(32)
    values.set(pcr, createHash('sha256').update(before).update(Buffer.from(digest, 'hex')).digest())
  }
  return new Map([...values].map(([pcr, value]) => [pcr, value.toString('hex')]))
}

function events(story: BootStory): readonly BootEvent[] {
  const blob = Buffer.alloc(16)
  blob.writeBigUInt64LE(0xff000000n, 0)
  blob.writeBigUInt64LE(0x100000n, 8)
  return [
    { pcr: 0, type: EV_S_CRTM_VERSION, event: Buffer.from(`${story.firmware}\0`, 'utf16le') },
    { pcr: 0, type: EV_EFI_PLATFORM_FIRMWARE_BLOB, event: blob, measured: Buffer.from(story.firmware) },
    { pcr: 4, type: EV_EFI_ACTION, event: Buffer.from('Calling EFI Application from Boot Option') },
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({ pcr, type: EV_SEPARATOR, event: Buffer.alloc(4) })),
    { pcr: 4, type: EV_EFI_ACTION, event: Buffer.from(story.loader) },
    { pcr: 8, type: EV_IPL, event: Buffer.from(`${story.loader}\0`), measured: Buffer.from(story.loader) },
    { pcr: 9, type: EV_IPL, event: Buffer.from(`${story.kernel}\0`), measured: Buffer.from(story.kernel) },
  ]
}

function digestOf(event: BootEvent): Buffer {
  return createHash('sha256')
    .update(event.measured ?? event.event)
    .digest()
}

/** The first event, in the old form, says which digests follow. */
function specIdEvent(): Buffer {
  const body = Buffer.concat([
    Buffer.from('Spec ID Event03\0'),
    u32(0),
    Buffer.from([0, 2, 0, 2]),
    u32(1),
    u16(ALG_SHA256),
    u16(32),
    Buffer.from([0]),
  ])
  return Buffer.concat([u32(0), u32(EV_NO_ACTION), Buffer.alloc(20), u32(body.length), body])
}

function encode(event: BootEvent): Buffer {
  return Buffer.concat([
    u32(event.pcr),
    u32(event.type),
    u32(1),
    u16(ALG_SHA256),
    digestOf(event),
    u32(event.event.length),
    event.event,
  ])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}
