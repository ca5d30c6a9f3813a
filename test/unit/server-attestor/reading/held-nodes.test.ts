import { describe, expect, it } from 'vitest'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import { HeldNodes } from '../../../../server-attestor/reading/held-nodes.ts'

const [ONE, TWO] = [parseAgentId('node-1'), parseAgentId('node-2')]

describe('HeldNodes', () => {
  it('gives one ID four places and leaves the others for the rest [claims:fate:strangers]', () => {
    const held = new HeldNodes(6)
    expect([1, 2, 3, 4, 5].map(() => held.enter(ONE))).toEqual([true, true, true, true, false])
    expect([1, 2, 3].map(() => held.enter(TWO))).toEqual([true, true, false])
    held.leave(ONE)
    expect([held.enter(TWO), held.enter(ONE)]).toEqual([true, false])
  })
})
