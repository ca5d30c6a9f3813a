import { describe, expect, it } from 'vitest'
import type { Opinion } from '../../../../plugins/keylime/api/verifier-client.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { Evidence } from '../../../../plugins/keylime/evidence/evidence.ts'
import { SecondOpinion } from '../../../../server-attestor/reading/second-opinion.ts'

const signal = new AbortController().signal
const [AK, OTHER_AK] = [Buffer.from('ak'), Buffer.from('other ak')]
const evidence: Evidence = {
  agentId: parseAgentId('node-1'),
  quote: 'r...',
  nonce: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  hashAlg: 'sha256',
}

function verifier(answers: (question: Evidence) => Opinion): {
  readonly asked: Evidence[]
  readonly verifyIdentity: (question: Evidence) => Promise<Opinion>
} {
  const asked: Evidence[] = []
  return {
    asked,
    verifyIdentity: (question) => {
      asked.push(question)
      return Promise.resolve(question).then(answers)
    },
  }
}

const honest = (question: Evidence): Opinion =>
  question.nonce === evidence.nonce ? { valid: true } : { valid: false, reason: 'nonce differs' }

describe('SecondOpinion', () => {
  it('asks about the quote, and about the same quote with another nonce, which must be refused', async () => {
    const source = verifier(honest)
    await new SecondOpinion(source, 1_000).confirm(evidence, AK, { signal })
    expect(source.asked).toHaveLength(2)
    expect(source.asked[1]).toMatchObject({ agentId: 'node-1', quote: evidence.quote })
    expect(source.asked[1]?.nonce).toMatch(/^[A-Z2-7]{32}$/)
    expect(source.asked[1]?.nonce).not.toBe(evidence.nonce)
  })

  it('stands for agent and key until its time is over', async () => {
    let now = 0
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 600_000, () => now)
    const questions = async (agentId: string, ak: Buffer): Promise<number> => {
      const before = source.asked.length
      await opinion.confirm({ ...evidence, agentId: parseAgentId(agentId) }, ak, { signal })
      return source.asked.length - before
    }
    expect(await questions('node-1', AK)).toBe(2)
    now = 599_999
    expect(await questions('node-1', AK)).toBe(0)
    expect(await questions('node-1', OTHER_AK)).toBe(2)
    expect(await questions('node-2', AK)).toBe(2)
    now = 600_000
    expect(await questions('node-1', AK)).toBe(2)
  })

  it('is forgotten when the count of attestations falls: the agent was enrolled again, maybe with another key', async () => {
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 600_000)
    const { agentId } = evidence
    expect(opinion.outlived(agentId, AK, 5)).toBe(false)
    await opinion.confirm(evidence, AK, { signal })
    expect([5, 6, 6].map((count) => opinion.outlived(agentId, AK, count))).toEqual([false, false, false])
    expect(opinion.outlived(agentId, AK, 2)).toBe(true)
    await opinion.confirm(evidence, AK, { signal })
    expect(source.asked).toHaveLength(4)
    expect(opinion.outlived(agentId, AK, 2)).toBe(false)
  })

  it('costs a node that returns every 30 minutes one question a day, not one at each return [claims:opinion:ttl]', async () => {
    let now = 0
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 86_400_000, () => now)
    for (now = 0; now < 86_400_000; now += 1_800_000) {
      await opinion.confirm(evidence, AK, { signal })
      expect(opinion.outlived(evidence.agentId, AK, now / 2_000)).toBe(false)
    }
    expect(source.asked).toHaveLength(2)
  })

  it('falls when another key is confirmed for the ID: the verifier holds one at a time [claims:opinion:ttl]', async () => {
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 86_400_000)
    for (const ak of [AK, OTHER_AK, AK]) await opinion.confirm(evidence, ak, { signal })
    expect(source.asked).toHaveLength(6)
  })

  it('does not stand for a node whose ID is contested, asked afresh', async () => {
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 600_000)
    await opinion.confirm(evidence, AK, { signal })
    await opinion.confirm(evidence, AK, { signal, afresh: true })
    expect(source.asked).toHaveLength(4)
  })

  it('is asked at every attestation with a time of 0, also when several come at once', async () => {
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 0)
    await Promise.all([1, 2, 3].map(() => opinion.confirm(evidence, AK, { signal })))
    await opinion.confirm(evidence, AK, { signal })
    expect(source.asked).toHaveLength(8)
  })

  it('is asked once for a node that calls a hundred times at once', async () => {
    const source = verifier(honest)
    const opinion = new SecondOpinion(source, 1_000)
    await Promise.all(Array.from({ length: 100 }, () => opinion.confirm(evidence, AK, { signal })))
    expect(source.asked).toHaveLength(2)
  })

  it('is asked again by those who waited for a question that failed', async () => {
    let fails = true
    const source = verifier((question) => {
      if (!fails) return honest(question)
      fails = false
      throw new Error('reset')
    })
    const opinion = new SecondOpinion(source, 1_000)
    const outcomes = await Promise.allSettled([1, 2].map(() => opinion.confirm(evidence, AK, { signal })))
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })

  describe('in a storm of nodes never seen', () => {
    const NODES = 100
    const questions = Array.from({ length: NODES }, (_, index) => ({
      ...evidence,
      agentId: parseAgentId(`node-${String(index)}`),
    }))
    const allAtOnce = (opinion: SecondOpinion): Promise<PromiseSettledResult<void>[]> =>
      Promise.allSettled(questions.map((question) => opinion.confirm(question, AK, { signal })))

    it('asks each quote once and checks the verifier with some of them [scale:storm:self-check]', async () => {
      const source = verifier(honest)
      const ended = await allAtOnce(new SecondOpinion(source, 600_000, () => 0))
      expect(ended.filter(({ status }) => status === 'rejected')).toEqual([])
      const valid = source.asked.filter(({ nonce }) => nonce === evidence.nonce)
      expect(new Set(valid.map(({ agentId }) => agentId)).size).toBe(NODES)
      const checks = source.asked.length - valid.length
      expect(checks).toBeGreaterThan(0)
      expect(checks).toBeLessThan(NODES / 2)
    })

    it('makes up for each check at the next attestation, once [scale:storm:self-check]', async () => {
      const source = verifier(honest)
      const opinion = new SecondOpinion(source, 600_000, () => 0)
      await allAtOnce(opinion)
      for (const question of [...questions, ...questions]) await opinion.confirm(question, AK, { signal })
      const checked = source.asked.filter(({ nonce }) => nonce !== evidence.nonce).map(({ agentId }) => agentId)
      expect(checked.toSorted()).toEqual(questions.map(({ agentId }) => agentId).toSorted())
    })

    it('forgets an opinion whose check fails later: the verifier has stopped looking [scale:storm:self-check]', async () => {
      let accepting = false
      const source = verifier((question) => (accepting ? { valid: true } : honest(question)))
      const opinion = new SecondOpinion(source, 600_000, () => 0)
      await allAtOnce(opinion)
      accepting = true
      const unchecked = questions[NODES / 2] ?? evidence
      const failed = { code: 'KL-OPINION-SELF-CHECK' }
      await expect(opinion.confirm(unchecked, AK, { signal })).rejects.toMatchObject({ reasons: [failed] })
      await expect(opinion.confirm(unchecked, AK, { signal })).rejects.toMatchObject({ reasons: [failed] })
    })

    it('admits nobody when the verifier accepts anything [scale:storm:self-check]', async () => {
      const ended = await allAtOnce(
        new SecondOpinion(
          verifier(() => ({ valid: true })),
          600_000,
          () => 0,
        ),
      )
      expect(ended.filter(({ status }) => status === 'fulfilled')).toEqual([])
    })

    it('checks with each of them when the last check is too old to speak for now', async () => {
      let now = 0
      const source = verifier((question) => {
        now += 20_000
        return honest(question)
      })
      await allAtOnce(new SecondOpinion(source, 6_000_000_000, () => now))
      expect(source.asked).toHaveLength(2 * NODES)
    })
  })

  it('makes a refusal of the quote a verdict, with the verifier’s reason for the log only', async () => {
    const opinion = new SecondOpinion(
      verifier(() => ({ valid: false, reason: 'signature\nmismatch' })),
      1_000,
    )
    await expect(opinion.confirm(evidence, AK, { signal })).rejects.toMatchObject({
      code: 'KL-QUOTE-VERIFIER-REJECTED',
      message: 'the keylime verifier rejects its identity quote [KL-QUOTE-VERIFIER-REJECTED]',
      facts: { verifier_reason: 'signature mismatch' },
    })
  })

  it('finds a verifier that accepts anything, blames the installation, and remembers nothing of it', async () => {
    const opinion = new SecondOpinion(
      verifier(() => ({ valid: true })),
      1_000,
    )
    for (const _ of [1, 2]) {
      await expect(opinion.confirm(evidence, AK, { signal })).rejects.toMatchObject({ code: 'KL-OPINION-SELF-CHECK' })
    }
  })
})
