// The node of the recorded answers, its parts decoded.
import { recordedResults } from '../../fakes/recorded.ts'

const registrar = recordedResults('registrar-agent')
const answer = recordedResults('agent-quote')

/** The nonce the recorded quote was made for. */
export const RECORDED_NONCE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
/** The recorded quote string. */
export const RECORDED_QUOTE = String(answer.quote)
/** The public key PEM beside the recorded quote. */
export const RECORDED_PUBKEY = String(answer.pubkey)
/** The recorded registrar record in the form the registrar client gives. */
export const RECORDED_RECORD = {
  agentId: String(registrar.agent_id),
  akTpm: Buffer.from(String(registrar.aik_tpm), 'base64'),
  ekTpm: Buffer.from(String(registrar.ek_tpm), 'base64'),
  ekCert: Buffer.from(String(registrar.ekcert), 'base64'),
}

const [attest, signature, pcrs] = RECORDED_QUOTE.slice(1)
  .split(':')
  .map((part) => Buffer.from(part, 'base64'))
if (attest === undefined || signature === undefined || pcrs === undefined)
  throw new Error('recorded quote lacks a part')

/** The three parts of the recorded quote. */
export const RECORDED_PARTS = { attest, signature, pcrs }

/** Joins three parts to a quote string. */
export function quoteString(parts: typeof RECORDED_PARTS): string {
  return `r${[parts.attest, parts.signature, parts.pcrs].map((part) => part.toString('base64')).join(':')}`
}

/** Copies bytes with one bit changed. */
export function flipBit(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return copy
}
