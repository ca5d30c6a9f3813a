import { describe, expect, it } from 'vitest'
import { IdentitySource, type KeylimeAgent } from '../../../../agent-attestor/evidence/claimed-identity.ts'
import { newFailure } from '../../../../plugins/keylime/basis/failures.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { outcomeOfAsync } from '../../tpm/outcome.ts'

function scene() {
  let asked = 0
  const questions: PromiseWithResolvers<void>[] = []
  const signals: AbortSignal[] = []
  const keylimeAgent: KeylimeAgent = {
    name: 'keylime agent 127.0.0.1:9002',
    hasInfo: async () => true,
    getInfo: async (options) => {
      const of = options?.signal
      asked += 1
      if (of !== undefined) signals.push(of)
      const serial = asked
      const question = Promise.withResolvers<void>()
      questions.push(question)
      await question.promise
      return { agentId: parseAgentId(`node-${serial}`), hashAlg: 'sha256' }
    },
    getIdentityQuote: async () => ({ quote: 'r', hashAlg: 'sha256' }),
  }
  return { identity: new IdentitySource(keylimeAgent, undefined), questions, signals, asked: () => asked }
}

const settled = async (): Promise<void> => {
  await new Promise((resolve) => setImmediate(resolve))
}
const { signal } = new AbortController()

describe('IdentitySource', () => {
  it('asks once for calls that come together, and again for the next one', async () => {
    const { identity, questions, asked } = scene()
    const together = [identity.get(signal), identity.get(signal), identity.get(signal)]
    await settled()
    questions[0]?.resolve()
    const answers = await Promise.all(together)
    expect(answers.map(({ agentId }) => agentId)).toEqual(['node-1', 'node-1', 'node-1'])
    const next = identity.get(signal)
    await settled()
    questions[1]?.resolve()
    await expect(next).resolves.toEqual({ agentId: 'node-2', hashAlg: 'sha256' })
    expect(asked()).toBe(2)
  })

  it('shares that nobody listens with those who asked together, and keeps no failure', async () => {
    const { identity, questions } = scene()
    const together = [identity.get(signal), identity.get(signal)]
    await settled()
    questions[0]?.reject(newFailure('refused', 'refused'))
    const outcomes = await Promise.all(together.map((one) => outcomeOfAsync(() => one)))
    expect(outcomes).toEqual(['KEYLIME_UNREACHABLE: refused', 'KEYLIME_UNREACHABLE: refused'])
    const next = identity.get(signal)
    await settled()
    questions[1]?.resolve()
    await expect(next).resolves.toMatchObject({ agentId: 'node-2' })
  })

  it('lets one caller go away without taking the answer from the others', async () => {
    const { identity, questions } = scene()
    const leaving = new AbortController()
    const [left, stays] = [identity.get(leaving.signal), identity.get(signal)]
    await settled()
    leaving.abort()
    await expect(outcomeOfAsync(() => left)).resolves.toBe('KEYLIME_CANCELLED: spire agent gave up')
    await expect(outcomeOfAsync(() => identity.get(leaving.signal))).resolves.toBe(
      'KEYLIME_CANCELLED: spire agent gave up',
    )
    questions[0]?.resolve()
    await expect(stays).resolves.toMatchObject({ agentId: 'node-1' })
  })

  it('ends the question when the last one who waits for it has gone [claims:fate:last-one-out]', async () => {
    const { identity, signals } = scene()
    const [one, two] = [new AbortController(), new AbortController()]
    const both = [identity.get(one.signal), identity.get(two.signal)].map((answer) => outcomeOfAsync(() => answer))
    await settled()
    one.abort()
    await settled()
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    two.abort()
    expect(await Promise.all(both)).toEqual(Array(2).fill('KEYLIME_CANCELLED: spire agent gave up'))
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
  })
})
