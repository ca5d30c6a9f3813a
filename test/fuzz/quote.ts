/**
 * The local proof under fuzz: no changed quote may pass.
 *
 * @module
 */
import { KeylimeError } from '../../plugins/keylime/basis/errors.ts'
import { parseAgentId } from '../../plugins/keylime/basis/ids.ts'
import { verifyQuote } from '../../plugins/keylime/evidence/quote.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const nonce = 'A'.repeat(32)
const agentId = parseAgentId('node-1')
const tpms = [new SoftwareTpm({ slot: 0 }), new SoftwareTpm({ slot: 1, ak: 'ec-p256', ek: 'ec-p256' })]
const genuine = tpms.map((tpm) => ({
  quote: tpm.quote(nonce),
  record: { agentId, akTpm: tpm.akTpm, ekTpm: tpm.ekTpm },
}))

function passes(quote: string, record: (typeof genuine)[number]['record']): boolean {
  try {
    verifyQuote({ agentId, hashAlg: 'sha256', nonce, quote }, record, { allowedHashAlgs: ['sha256'] })
    return true
  } catch (error) {
    if (error instanceof KeylimeError) return false
    throw error
  }
}

/** Parsing and proving a quote. */
export const quote: FuzzTarget = {
  name: 'quote',
  mutants: 100_000,
  maxMs: 1000,
  corpus: genuine.map((one) => Buffer.from(one.quote)),
  pieces: ['r', ':', '=', '==', 'A', 'AAAA', '/', '+', '-', '_', ' ', '\n', '\0'].map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString('latin1')
    const accepted = genuine.filter(({ quote: own, record }) => {
      const isAccepted = passes(text, record)
      if (isAccepted && text !== own) throw new Error('a changed quote passes the local proof')
      return isAccepted
    })
    return accepted.length > 0 ? 'accepted' : 'refused'
  },
}
