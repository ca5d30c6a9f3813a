// A TPM in software: endorsement key, attestation key, PCRs and real quotes, with a knob for every way a quote can be wrong.
import { createHash, sign } from 'node:crypto'
import { openCredential, type Sealed } from './credential-opening.ts'
import { type KeyKind, pooledTestKey, type TestKey } from './pki-keys.ts'
import {
  AK_ATTRIBUTES,
  type AttestFields,
  type BankHash,
  digest,
  EK_ATTRIBUTES,
  encodeAttest,
  encodePcrBlob,
  encodeSignature,
  encodeTpm2bPublic,
  endorsementHandle,
  HASH_IDS,
  nameOfPublic,
  qualifiedNameBelow,
} from './tpm-bytes.ts'

const PCR_COUNT = 24
const QUOTE_PCR = 16

/** Describes a TPM to make. */
export interface SoftwareTpmOptions {
  /** Default `rsa-2048`. */
  readonly ek?: KeyKind | TestKey
  /** Default `rsa-2048`. */
  readonly ak?: KeyKind | TestKey
  /** Key that the Keylime agent binds into PCR 16; always RSA in reality. Default `rsa-2048`. */
  readonly payloadKey?: KeyKind | TestKey
  /** Which pooled RSA keys to take; two TPMs of one index and kind share them. Default: new for each TPM. */
  readonly slot?: number
  /** Bank, signing scheme and Name algorithm. Default `sha256`. */
  readonly hash?: BankHash
  /** TPMA_OBJECT of the AK. */
  readonly akAttributes?: number
  /** TPM_ALG_ID of the AK's signing scheme. */
  readonly akScheme?: number
}

/** Makes a quote wrong in one way or several; what is absent is right. */
export interface QuoteKnobs extends Partial<AttestFields> {
  /** Signs with the AK of another TPM. */
  readonly signer?: SoftwareTpm
  /** Hash of the signature. */
  readonly signatureHash?: BankHash
  /** Overrides PCR values in the blob (and in the digest, unless `pcrDigest` is given too). */
  readonly pcrValues?: ReadonlyMap<number, Uint8Array>
  /** Selection in the blob, when it shall differ from the one that is signed. */
  readonly blobPcrs?: readonly number[]
  /** Changes the signed bytes after signing. */
  readonly afterSigning?: (attest: Buffer) => Buffer
}

let nextSlot = 100

/** One TPM with its keys; everything it makes verifies unless a knob says otherwise. */
export class SoftwareTpm {
  readonly hash: BankHash
  readonly ek: TestKey
  readonly ak: TestKey
  readonly payloadKey: TestKey
  /** TPM2B_PUBLIC of the endorsement key, as the registrar's `ek_tpm`. */
  readonly ekTpm: Buffer
  /** TPM2B_PUBLIC of the attestation key, as the registrar's `aik_tpm`. */
  readonly akTpm: Buffer
  readonly #pcrs = new Map<BankHash, Buffer[]>()
  #clock = 80_118n
  // Made once: it goes into every quote answer, and load tests make thousands a second.
  #payloadPem: string | undefined

  constructor(options: SoftwareTpmOptions = {}) {
    const slot = options.slot ?? nextSlot++
    const take = (wanted: KeyKind | TestKey = 'rsa-2048', part: number): TestKey =>
      typeof wanted === 'string' ? pooledTestKey(wanted, 1000 + slot * 3 + part) : wanted
    this.hash = options.hash ?? 'sha256'
    this.ek = take(options.ek, 0)
    this.ak = take(options.ak, 1)
    this.payloadKey = take(options.payloadKey, 2)
    this.ekTpm = encodeTpm2bPublic(this.ek.publicKey, {
      nameAlg: 'sha256',
      attributes: EK_ATTRIBUTES,
      template: 'ek',
      schemeHash: 'sha256',
    })
    this.akTpm = encodeTpm2bPublic(this.ak.publicKey, {
      nameAlg: this.hash,
      attributes: options.akAttributes ?? AK_ATTRIBUTES,
      template: 'ak',
      schemeHash: this.hash,
      ...(options.akScheme !== undefined && { scheme: options.akScheme }),
    })
    this.resetPcrs()
  }

  /** The endorsement key as SPKI PEM. */
  get ekPem(): string {
    return this.ek.publicKey.export({ type: 'spki', format: 'pem' })
  }

  /** The payload key as SPKI PEM, as the agent's quote answer carries it. */
  get payloadPem(): string {
    this.#payloadPem ??= this.payloadKey.publicKey.export({ type: 'spki', format: 'pem' })
    return this.#payloadPem
  }

  /** The agent ID that Keylime's `uuid = hash_ek` gives this TPM. */
  get ekUuid(): string {
    return createHash('sha256').update(this.ekPem).digest('hex')
  }

  /** Name of the AK. */
  get akName(): Buffer {
    return nameOfPublic(this.akTpm, this.hash)
  }

  /** Qualified name of the AK, directly below this TPM's EK. */
  get akQualifiedName(): Buffer {
    const ekQualified = qualifiedNameBelow(endorsementHandle(), nameOfPublic(this.ekTpm, 'sha256'), 'sha256')
    return qualifiedNameBelow(ekQualified, this.akName, this.hash)
  }

  /** Sets every PCR to zeros, as a reboot does. */
  resetPcrs(): void {
    for (const hash of Object.keys(HASH_IDS) as BankHash[]) {
      const size = digest(hash).length
      this.#pcrs.set(
        hash,
        Array.from({ length: PCR_COUNT }, () => Buffer.alloc(size)),
      )
    }
  }

  /** Extends one PCR of one bank with a digest. */
  extend(pcr: number, value: Uint8Array, bank: BankHash = this.hash): void {
    this.#bank(bank)[pcr] = digest(bank, this.pcr(pcr, bank), value)
  }

  /** Reads one PCR. */
  pcr(pcr: number, bank: BankHash = this.hash): Buffer {
    const value = this.#bank(bank)[pcr]
    if (value === undefined) throw new Error(`no PCR ${pcr}`)
    return value
  }

  /**
   * Makes an identity quote as the Rust agent does: PCR 16 reset, extended with the payload key, then quoted.
   * @returns Keylime's quote string: `r`, then three base64 parts.
   * @see rust-keylime 3a4d5654, keylime/src/tpm.rs, `TpmContext::quote`
   */
  quote(nonce: string, knobs: QuoteKnobs = {}): string {
    const bank = knobs.bank ?? this.hash
    this.#bank(bank)[QUOTE_PCR] = Buffer.alloc(digest(bank).length)
    this.extend(QUOTE_PCR, digest(bank, Buffer.from(this.payloadPem)), bank)
    return this.quotePcrs(Buffer.from(nonce), [QUOTE_PCR], knobs)
  }

  /** Quotes PCRs as they stand. */
  quotePcrs(extraData: Uint8Array, selected: readonly number[], knobs: QuoteKnobs = {}): string {
    const bank = knobs.bank ?? this.hash
    const pcrs = knobs.pcrs ?? selected
    const valueOf = (pcr: number): Uint8Array => knobs.pcrValues?.get(pcr) ?? this.pcr(pcr, bank)
    const signer = knobs.signer ?? this
    const attest = encodeAttest({
      magic: 0xff54_4347,
      type: 0x8018,
      qualifiedSigner: signer.akQualifiedName,
      extraData,
      clock: this.#clock++,
      resetCount: 2,
      restartCount: 0,
      safe: true,
      pcrDigest: digest(bank, ...pcrs.map(valueOf)),
      ...knobs,
      bank,
      pcrs,
    })
    const signature = signer.#sign(attest, knobs.signatureHash ?? signer.hash)
    const blob = encodePcrBlob(bank, new Map((knobs.blobPcrs ?? pcrs).map((pcr) => [pcr, valueOf(pcr)])))
    const sent = knobs.afterSigning?.(attest) ?? attest
    return `r${[sent, signature, blob].map((part) => part.toString('base64')).join(':')}`
  }

  /** Opens a credential that was sealed for this TPM's EK and AK; throws as a TPM refuses. */
  activate(sealed: Sealed): Buffer {
    return openCredential({ privateKey: this.ek.privateKey, nameAlg: 'sha256', aesBits: 128 }, this.akName, sealed)
  }

  #bank(bank: BankHash): Buffer[] {
    const values = this.#pcrs.get(bank)
    if (values === undefined) throw new Error(`no bank ${bank}`)
    return values
  }

  #sign(bytes: Buffer, hash: BankHash): Buffer {
    const isRsa = this.ak.privateKey.asymmetricKeyType === 'rsa'
    const signature = sign(hash, bytes, { key: this.ak.privateKey, dsaEncoding: 'ieee-p1363' })
    return encodeSignature(isRsa, hash, signature)
  }
}
