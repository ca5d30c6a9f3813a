// What a real verifier of 7.14.3 in push mode stored of a real push-mode agent, and everything that could be wrong with it.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseAttestation } from '../../../../plugins/keylime/api/v3/attestation.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { type JudgedQuote, verifyJudgedQuote } from '../../../../plugins/keylime/evidence/judged-quote.ts'
import { SoftwareTpm } from '../../../fakes/software-tpm.ts'
import { outcomeOf } from '../../tpm/outcome.ts'

interface Answer {
  readonly body: { readonly data: unknown; readonly results: Readonly<Record<string, string>> }
}

function fixture(name: string): Answer {
  return JSON.parse(
    readFileSync(new URL(`../../../fixtures/keylime-push/${name}.json`, import.meta.url), 'utf8'),
  ) as Answer
}

const { results } = fixture('registrar-record-push').body
const record = {
  agentId: results['agent_id'] ?? 'node-1',
  akTpm: Buffer.from(results['aik_tpm'] ?? '', 'base64'),
  ekTpm: Buffer.from(results['ek_tpm'] ?? '', 'base64'),
}
const agentId = parseAgentId('node-1')
const answer = { who: 'keylime verifier', date: 1_795_811_476 }
const parsed = parseAttestation(fixture('v30-latest-pass').body.data, agentId, answer)

function quote(): JudgedQuote {
  if (parsed.quote === undefined) throw new Error('no quote recorded')
  return parsed.quote
}

describe('parseAttestation', () => {
  it('reads what a real verifier judged', () => {
    expect(parsed).toMatchObject({
      index: 6,
      stage: 'verification_complete',
      evaluation: 'pass',
      evidenceTypes: ['tpm_quote'],
      receivedAt: 1_795_811_476,
    })
    expect(parsed.evidenceReceivedAt).toBeCloseTo(1_795_811_474.84, 1)
  })

  it('reads what is not judged yet, and what was judged bad', () => {
    const awaiting = parseAttestation(fixture('v30-latest-awaiting-evidence').body.data, agentId, answer)
    expect(awaiting).toMatchObject({ stage: 'awaiting_evidence', evaluation: 'pending', evidenceTypes: [] })
    expect(awaiting).not.toHaveProperty('quote')
    expect(parseAttestation(fixture('v30-latest-fail').body.data, agentId, answer)).toMatchObject({
      evaluation: 'fail',
    })
  })

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['no attributes', { links: { self: '/a/attestations/1' } }],
    [
      'no number',
      { attributes: { stage: '', evaluation: '', evidence: [] }, links: { self: '/a/attestations/latest' } },
    ],
    [
      'evidence of another kind',
      { attributes: { stage: '', evaluation: '', evidence: [7] }, links: { self: '/attestations/1' } },
    ],
  ])('refuses %s', (_title, data) => {
    expect(outcomeOf(() => parseAttestation(data, agentId, answer))).toMatch(
      /^KEYLIME_BAD_RESPONSE: keylime verifier sends a attestation of agent node-1 that is not as expected/,
    )
  })
})

describe('verifyJudgedQuote', () => {
  it('accepts the quote of a real agent, by the keys that the registrar holds [tpm:push:judged]', () => {
    expect(outcomeOf(() => verifyJudgedQuote(quote(), record))).toBe('accepted')
    const first = parseAttestation(fixture('v30-attestation-0').body.data, agentId, answer)
    expect(outcomeOf(() => verifyJudgedQuote(first.quote ?? quote(), record))).toBe('accepted')
  })

  it.each<[string, Partial<JudgedQuote>, string]>([
    ['over another challenge', { challenge: Buffer.alloc(16, 7).toString('base64') }, 'it does not sign its challenge'],
    ['over a challenge of no length', { challenge: 'AA==' }, 'its challenge is none'],
    ['over a challenge that is no base64', { challenge: '!' }, 'its challenge is none'],
    ['that does not parse', { message: 'AAAA' }, 'quote does not parse: TPMS_ATTEST magic: expected 4 bytes, found 3'],
    ['with a part that is no base64', { signature: 'x' }, 'quote part signature is not padded base64'],
  ])('refuses one %s [tpm:push:judged]', (_title, change, reason) => {
    expect(outcomeOf(() => verifyJudgedQuote({ ...quote(), ...change }, record))).toBe(
      `KEYLIME_QUOTE_REJECTED: judged quote rejected: ${reason}`,
    )
  })

  it.each([
    ['by another TPM', (tpm: SoftwareTpm) => ({ signer: tpm }), 'signature is not by the registered AK'],
    [
      'with values that were not signed',
      () => ({ afterSigning: undefined, pcrDigest: Buffer.alloc(32, 1) }),
      'pcr values differ from the quoted digest',
    ],
    [
      'with values of other PCRs',
      () => ({ blobPcrs: [4] }),
      'it signs PCRs sha256:7, and values of sha256:4 are beside it',
    ],
    [
      'by the AK under another EK',
      (tpm: SoftwareTpm) => ({ qualifiedSigner: tpm.akQualifiedName }),
      'signer is not the registered AK under the registered EK',
    ],
  ])('refuses one %s [tpm:push:judged]', (_title, knobsOf, reason) => {
    const [mine, other] = [
      new SoftwareTpm({ ak: 'ec-p256', ek: 'ec-p256' }),
      new SoftwareTpm({ ak: 'ec-p256', ek: 'ec-p256' }),
    ]
    const challenge = Buffer.alloc(16, 3)
    const knobs = Object.fromEntries(Object.entries(knobsOf(other)).filter(([, value]) => value !== undefined))
    const [message = '', signature = '', subjectData = ''] = mine.quotePcrs(challenge, [7], knobs).slice(1).split(':')
    const judged = { message, signature, subjectData, challenge: challenge.toString('base64') }
    expect(
      outcomeOf(() => verifyJudgedQuote(judged, { agentId: 'node-1', akTpm: mine.akTpm, ekTpm: mine.ekTpm })),
    ).toBe(`KEYLIME_QUOTE_REJECTED: judged quote rejected: ${reason}`)
  })
})
