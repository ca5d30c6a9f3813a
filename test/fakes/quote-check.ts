// What Keylime's verifier does with an identity quote, in its order and with its words; shares no code with plugins/tpm.
import { createPublicKey, type KeyObject, timingSafeEqual, verify } from 'node:crypto'
import { type BankHash, digest, HASH_IDS } from './tpm-bytes.ts'

/** What `/verify/identity` says about a quote. */
export type QuoteVerdict = { readonly valid: 1 } | { readonly valid: 0; readonly reason: string }

const HASHES = new Map<number, BankHash>(Object.entries(HASH_IDS).map(([name, id]) => [id, name as BankHash]))
const KEYLIME_HASHES = new Set(['sha1', 'sha256', 'sha384', 'sha512', 'sm3_256'])
const CURVES: Readonly<Record<number, string>> = { 3: 'P-256', 4: 'P-384', 5: 'P-521' }

class Reader {
  readonly #bytes: Buffer
  #offset = 0
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  take(length: number): Buffer {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new Error(unpackError(length, this.#offset, this.#bytes.length))
    const part = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return part
  }
  u16 = (): number => this.take(2).readUInt16BE()
  u32 = (): number => this.take(4).readUInt32BE()
  sized = (): Buffer => this.take(this.u16())
}

/**
 * Checks a quote as Keylime's `checkquote` does.
 * @param ask The four things `/verify/identity` knows.
 * @returns Valid, or the first thing that was wrong.
 * @see keylime 9b1f6e6a, keylime/tpm/tpm_util.py, `checkquote`
 */
export function checkQuote(ask: {
  readonly quote: string
  readonly nonce: string
  readonly hashAlg: string
  readonly akTpm: Buffer
}): QuoteVerdict {
  if (!KEYLIME_HASHES.has(ask.hashAlg)) {
    return refuse({ message: `TPM Quote is using an unrecognized hash algorithm: ${ask.hashAlg}`, data: ask.hashAlg })
  }
  try {
    requireQuote(ask)
    return { valid: 1 }
  } catch (error) {
    return refuse({ message: 'Quote data validation', error: error instanceof Error ? error.message : String(error) })
  }
}

/** Reads the public key out of a TPM2B_PUBLIC. */
export function publicKeyOf(tpm2bPublic: Buffer): KeyObject {
  const area = new Reader(tpm2bPublic)
  area.u16()
  const type = area.u16()
  area.take(6)
  area.sized()
  if (area.u16() !== 0x0010) area.take(4)
  if (area.u16() !== 0x0010) area.u16()
  if (type === 0x0001) {
    area.take(6)
    const jwk = { kty: 'RSA', e: 'AQAB', n: area.sized().toString('base64url') }
    return createPublicKey({ key: jwk, format: 'jwk' })
  }
  const crv = CURVES[area.u16()] ?? ''
  if (area.u16() !== 0x0010) area.u16()
  const [x, y] = [area.sized().toString('base64url'), area.sized().toString('base64url')]
  return createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' })
}

function requireQuote(ask: { readonly quote: string; readonly nonce: string; hashAlg: string; akTpm: Buffer }): void {
  if (!ask.quote.startsWith('r')) throw new Error(`Invalid quote type ${ask.quote.slice(0, 1)}`)
  const parts = ask.quote.slice(1).split(':')
  const [attest, signature, blob] = parts.map((part) => Buffer.from(part, 'base64'))
  if (attest === undefined || signature === undefined || blob === undefined) {
    throw new Error(`Quote ${ask.quote} is not in the format`)
  }
  requireSignature(attest, signature, ask)
  const body = new Reader(attest)
  if (body.u32() !== 0xff54_4347) throw new Error('Bad magic in TPMS_ATTEST structure')
  if (body.u16() !== 0x8018) throw new Error('Bad type in TPMS_ATTEST structure')
  body.sized()
  const extraData = body.sized()
  if (!extraData.equals(Buffer.from(ask.nonce)) && !extraData.equals(Buffer.from(ask.nonce, 'base64'))) {
    throw new Error('The nonce from the attestation differs from the expected nonce')
  }
  body.take(8 + 4 + 4 + 1 + 8)
  if (body.u32() !== 1) throw new Error('Unexpected number of PCR selections')
  const bank = HASHES.get(body.u16())
  body.take(body.take(1).readUInt8())
  if (bank === undefined || !timingSafeEqual(body.sized(), digest(bank, ...blobValues(blob)))) {
    throw new Error('The digest used for quoting is different than the calculated digest')
  }
}

function requireSignature(attest: Buffer, bytes: Buffer, ask: { hashAlg: string; akTpm: Buffer }): void {
  if (bytes.length < 4) throw new Error(unpackError(4, 0, bytes.length))
  const structure = new Reader(bytes)
  const [scheme, hash] = [structure.u16(), HASHES.get(structure.u16())]
  const key = publicKeyOf(ask.akTpm)
  const isRsa = key.asymmetricKeyType === 'rsa'
  if (scheme !== (isRsa ? 0x0014 : 0x0018)) throw new Error(`Unsupported quote signature algorithm '${scheme}'`)
  if (hash !== ask.hashAlg) throw new Error('Quote using unexpected hash algorithm')
  const coordinate = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 48 : 32
  const signature = isRsa
    ? structure.sized()
    : Buffer.concat([leftPadded(structure.sized(), coordinate), leftPadded(structure.sized(), coordinate)])
  if (!verify(hash, attest, { key, dsaEncoding: 'ieee-p1363' }, signature)) throw new Error('Invalid signature')
}

function blobValues(blob: Buffer): Buffer[] {
  const values: Buffer[] = []
  for (let list = 0; list < blob.readUInt32LE(132); list += 1) {
    const start = 136 + list * 532
    for (let index = 0; index < blob.readUInt32LE(start); index += 1) {
      const at = start + 4 + index * 66
      values.push(blob.subarray(at + 2, at + 2 + blob.readUInt16LE(at)))
    }
  }
  return values
}

function leftPadded(bytes: Buffer, length: number): Buffer {
  return bytes.length >= length ? bytes : Buffer.concat([Buffer.alloc(length - bytes.length), bytes])
}

function unpackError(length: number, offset: number, size: number): string {
  const needed = `a buffer of at least ${offset + length} bytes for unpacking ${length} bytes at offset ${offset}`
  return `unpack_from requires ${needed} (actual buffer size is ${size})`
}

function refuse(reason: Readonly<Record<string, string>>): QuoteVerdict {
  const fields = Object.entries(reason).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
  return { valid: 0, reason: `{${fields.join(', ')}}` }
}
