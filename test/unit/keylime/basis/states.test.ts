import { describe, expect, it } from 'vitest'
import { agentState, stateInWords } from '../../../../plugins/keylime/basis/states.ts'

describe('agentState', () => {
  it('knows the eleven states of Keylime, and takes for good only what a verifier stores after a good quote', () => {
    const states = Array.from({ length: 11 }, (_, state) => state)
    expect(states.filter((state) => agentState(state)?.meaning === 'polled')).toEqual([3, 5])
    expect(states.map(stateInWords)).toEqual([
      '0 REGISTERED',
      '1 START',
      '2 SAVED',
      '3 GET_QUOTE',
      '4 GET_QUOTE_RETRY',
      '5 PROVIDE_V',
      '6 PROVIDE_V_RETRY',
      '7 FAILED',
      '8 TERMINATED',
      '9 INVALID_QUOTE',
      '10 TENANT_FAILED',
    ])
  })

  it.each([null, -1, 11, 3.5, Number.NaN])('has no meaning for %s', (state) => {
    expect(agentState(state)).toBeUndefined()
    expect(stateInWords(state)).toBe(String(state))
  })
})
