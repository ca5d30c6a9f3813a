import { describe, expect, it } from 'vitest'
import { KeylimeError } from '../../../../plugins/keylime/basis/errors.ts'
import { verifyQuote } from '../../../../plugins/keylime/evidence/quote.ts'
import { KNOWN_ANSWERS } from '../../../../server-attestor/self-test/known-answers.ts'
import { requireKnownAnswers } from '../../../../server-attestor/self-test/self-test.ts'

const atOnce = (): number => 0
/** A clock that lets the test run once. */
const once = (): (() => number) => {
  let now = -1_000
  return () => (now += 1_000)
}

function thrownBy(act: () => void): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}

const failingWith = (error: Error) => (): never => {
  throw error
}

describe('requireKnownAnswers', () => {
  it('accepts the proof in use, for RSA and for each curve [scale:start:known-answers]', () => {
    expect(KNOWN_ANSWERS.map(({ name }) => name)).toEqual(['rsa-2048', 'ec-p256', 'ec-p384', 'ec-p521'])
    expect(() => requireKnownAnswers(verifyQuote, once())).not.toThrow()
  })

  it('refuses a proof that accepts anything [scale:start:known-answers]', () => {
    expect(() => requireKnownAnswers(() => undefined, atOnce)).toThrow(
      /^self-test failed: a quote over another nonce, rsa-2048 key: expected rejected, found accepted; .*SHA256SUMS/,
    )
  })

  it('refuses a proof that rejects good quotes [scale:start:known-answers]', () => {
    expect(
      thrownBy(() => requireKnownAnswers(failingWith(new KeylimeError('KEYLIME_QUOTE_REJECTED', 'no')), atOnce)),
    ).toMatchObject({
      status: 'INTERNAL',
      message: expect.stringContaining('self-test failed: a good quote, rsa-2048 key: expected accepted') as string,
    })
  })

  it.each([
    ['a quote with a changed signature', 'signature is not by the registered AK'],
    ['a quote by another TPM', 'signer is not the registered AK'],
  ])('refuses a proof that lets pass %s [scale:start:known-answers]', (what, unseen) => {
    const blind: typeof verifyQuote = (...asked) => {
      try {
        verifyQuote(...asked)
      } catch (error) {
        if (!String(error).includes(unseen)) throw error
      }
    }
    expect(() => requireKnownAnswers(blind, atOnce)).toThrow(new RegExp(`^self-test failed: ${what}, `))
  })

  it('fails when a verdict cannot be had at all', () => {
    expect(() => requireKnownAnswers(failingWith(new TypeError('no such algorithm')), atOnce)).toThrow(
      /found not judged \(TypeError: no such algorithm\)/,
    )
  })
})
