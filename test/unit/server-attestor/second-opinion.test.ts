import { describe, expect, it } from 'vitest'
import { parseAgentId } from '../../../plugins/keylime/ids.ts'
import type { IdentityQuestion, IdentityVerdict } from '../../../plugins/keylime/verifier-client.ts'
import { SecondOpinion } from '../../../server-attestor/second-opinion.ts'

const signal = new AbortController().signal
const [AK, OTHER_AK] = [Buffer.from('ak'), Buffer.from('other ak')]
const evidence: IdentityQuestion = {
  agentId: parseAgentId('node-1'),
  quote: 'r...',
  nonce: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  hashAlg: 'sha256',
}

function verifier(answers: (question: IdentityQuestion) => IdentityVerdict): {
  readonly asked: IdentityQuestion[]
  readonly verifyIdentity: (question: IdentityQuestion) => Promise<IdentityVerdict>
} {
  const asked: IdentityQuestion[] = []
  return {
    asked,
    verifyIdentity: (question) => {
      asked.push(question)
      return Promise.resolve(answers(question))
    },
  }
}

const honest = (question: IdentityQuestion): IdentityVerdict =>
  question.nonce === evidence.nonce ? { valid: true } : { valid: false, reason: 'nonce differs' }

describe('SecondOpinion', () => {
  it('asks about the quote, and about the same quote with another nonce, which must be refused', async () => {
    const source = verifier(honest)
    await new SecondOpinion(source, 1_000).ask(evidence, AK, { signal })
    expect(source.asked).toHaveLength(2)
    expect(source.asked[1]).toMatchObject({ agentId: 'node-1', quote: evidence.quote })
    expect(source.asked[1]?.nonce).toMatch(/^[A-Z2-7]{32}$/)
    expect(source.asked[1]?.nonce).not.toBe(evidence.nonce)
  })

  it('stands for agent and key until its time is over', async () => {
    let now = 0
    const opinion = new SecondOpinion(verifier(honest), 600_000, () => now)
    expect(opinion.stands('node-1', AK)).toBe(false)
    await opinion.ask(evidence, AK, { signal })
    now = 599_999
    expect(opinion.stands('node-1', AK)).toBe(true)
    expect(opinion.stands('node-1', OTHER_AK)).toBe(false)
    expect(opinion.stands('node-2', AK)).toBe(false)
    now = 600_000
    expect(opinion.stands('node-1', AK)).toBe(false)
  })

  it('never stands with a time of 0', async () => {
    const opinion = new SecondOpinion(verifier(honest), 0)
    await opinion.ask(evidence, AK, { signal })
    expect(opinion.stands('node-1', AK)).toBe(false)
  })

  it('makes a refusal of the quote a verdict, with the verifier’s reason for the log only', async () => {
    const opinion = new SecondOpinion(
      verifier(() => ({ valid: false, reason: 'signature\nmismatch' })),
      1_000,
    )
    await expect(opinion.ask(evidence, AK, { signal })).rejects.toMatchObject({
      code: 'KL-QUOTE-VERIFIER-REJECTED',
      message: 'the keylime verifier rejects its identity quote [KL-QUOTE-VERIFIER-REJECTED]',
      facts: { verifier_reason: 'signature mismatch' },
    })
    expect(opinion.stands('node-1', AK)).toBe(false)
  })

  it('finds a verifier that accepts anything, blames the installation, and remembers nothing of it', async () => {
    const opinion = new SecondOpinion(
      verifier(() => ({ valid: true })),
      1_000,
    )
    await expect(opinion.ask(evidence, AK, { signal })).rejects.toMatchObject({ code: 'KL-OPINION-SELF-CHECK' })
    expect(opinion.stands('node-1', AK)).toBe(false)
  })
})
