import { describe, expect, it } from 'vitest'
import { enrolledPolicy } from '../../../../plugins/gate/judge.ts'
import { PolicyWatch } from '../../../../server-attestor/telemetry/policy-watch.ts'
import { agentRecord } from '../agent-record.ts'

describe('PolicyWatch', () => {
  it('warns once per node and change of a policy that checks nothing, and again after a good one [P01]', () => {
    const warned: unknown[] = []
    const log = { warn: (_: string, fields?: Readonly<Record<string, unknown>>) => warned.push(fields?.['tpm_policy']) }
    const watch = new PolicyWatch()
    const look = (agentId: string, tpmPolicy: string, hasRuntimePolicy = false) =>
      watch.warnIfNews(agentId, enrolledPolicy(agentRecord({ tpmPolicy, hasRuntimePolicy })), log)
    for (const policy of ['{"mask":"0x0"}', '{"mask": "0x0"}', '{"mask":"0x90"}', 'None']) look('a', policy)
    look('b', '{"mask":"0x90"}')
    expect(warned).toEqual(['{"mask":"0x0"}', '{"mask":"0x90"}', 'unreadable: not valid JSON', '{"mask":"0x90"}'])
    look('b', '{"mask":"0x400"}', true)
    look('b', '{"mask":"0x90"}', true)
    expect(warned).toHaveLength(5)
  })
})
