import { describe, expect, it } from 'vitest'
import { type NodeFacts, SELECTOR_KINDS, selectorsFor } from '../../../plugins/gate/selectors.ts'

const NODE: NodeFacts = {
  agentId: 'node-1',
  ekFingerprint: 'aa'.repeat(32),
  ekCaFingerprint: 'bb'.repeat(32),
  ip: '10.10.2.70',
  hashAlg: 'sha256',
  policySha256: 'cc'.repeat(32),
  strength: {
    comparedPcrs: [4, 7],
    bootPcrs: [4, 7],
    quotedPcrs: [],
    measuredBootEnrolled: true,
    measuredBoot: true,
    runtime: true,
  },
  evidence: 'tpm',
  mode: 'pull',
  pcrs: { bank: 'sha256', values: new Map([[7, Buffer.alloc(32, 0xab)]]) },
}
const CHECKS_NOTHING = {
  comparedPcrs: [],
  bootPcrs: [],
  quotedPcrs: [4, 7],
  measuredBootEnrolled: false,
  measuredBoot: false,
  runtime: false,
}

describe('selectorsFor', () => {
  it('says who the node is and what is really checked [T54] [T79]', () => {
    expect(selectorsFor(NODE)).toEqual([
      'agent_id:node-1',
      `ek:sha256:${'aa'.repeat(32)}`,
      `ek:ca:${'bb'.repeat(32)}`,
      'ip:10.10.2.70',
      'hash_alg:sha256',
      `policy:sha256:${'cc'.repeat(32)}`,
      'policy:pcr:4',
      'policy:pcr:7',
      'policy:measured-boot-enrolled',
      'policy:measured-boot',
      'policy:runtime',
      'evidence:tpm',
      'mode:pull',
      `pcr:sha256:7:${'ab'.repeat(32)}`,
    ])
  })

  it('says of a boot log that nobody vouches for that it is enrolled, no more [claims:policy:measured-boot]', () => {
    const values = selectorsFor({ ...NODE, strength: { ...NODE.strength, measuredBoot: false } })
    expect(values).toContain('policy:measured-boot-enrolled')
    expect(values).not.toContain('policy:measured-boot')
  })

  it('says policy:none and nothing stronger where nothing is checked [P01]', () => {
    const values = selectorsFor({ ...NODE, strength: CHECKS_NOTHING })
    expect(values.filter((value) => value.startsWith('policy:'))).toEqual([
      `policy:sha256:${'cc'.repeat(32)}`,
      'policy:none',
    ])
  })

  it('leaves out what is not known rather than saying it empty', () => {
    const values = selectorsFor({ ...NODE, ekCaFingerprint: undefined, ip: null, policySha256: undefined })
    expect(values.filter((value) => /^(ek:ca|ip|policy:sha256)/.test(value))).toEqual([])
  })

  it.each(['x'.repeat(300), '10.0.0.1\n', 'hôte'])('leaves out the value %j that a database could refuse', (ip) => {
    expect(selectorsFor({ ...NODE, ip }).some((value) => value.startsWith('ip:'))).toBe(false)
  })

  it('makes no selector that is not documented, and documents none that is never made', () => {
    const pcr = /^pcr:sha256:7:/
    const made = [...selectorsFor(NODE), ...selectorsFor({ ...NODE, strength: CHECKS_NOTHING })].map((value) =>
      pcr.test(value)
        ? 'pcr:'
        : /^policy:(measured-boot|measured-boot-enrolled|runtime|none)$/.test(value)
          ? value
          : value.replace(/:[^:]*$/, ':'),
    )
    const documented = SELECTOR_KINDS.map((kind) => kind.selector.replace(/<.*>$/, ''))
    expect(new Set(made)).toEqual(new Set(documented))
  })
})
