import { parseAgentId } from '@tower-of-omens/keylime'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { assert, constantFrom, integer, nat, option, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chainOf } from '../../../operator/explain/chain.ts'
import type { FleetHost } from '../../../operator/fleet.ts'
import { judgeAsPlugin, standingOf } from '../../../operator/judgement.ts'
import { statusRow } from '../../../operator/status/row.ts'
import { readAsked } from '../../../server-attestor/config.ts'

const agentId = parseAgentId('node-1')
const NOW = 1_800_000_000
const failed = { registrar: undefined, verifier: undefined, spire: undefined }

const records = record({
  operationalState: option(integer({ min: -1, max: 12 }), { nil: null }),
  attestationCount: nat(3),
  lastSuccessfulAttestation: integer({ min: NOW - 100, max: NOW + 100 }),
  attestationStatus: constantFrom('PASS', 'FAIL', 'PENDING', 'TIMEOUT', 'ODD'),
  tpmPolicy: constantFrom('{"mask": "0x0"}', '{"mask": "0x80", "7": ["00"]}', 'rubbish'),
  hasRuntimePolicy: constantFrom(true, false),
  lastEventId: constantFrom('internal.verifier.not_reachable', 'pcr_validation.invalid_pcr_7'),
})

describe('explain', () => {
  it("names at the gate exactly the reasons of the plugin's own judgement, for 200 random records [O06]", () => {
    const plugin = readAsked('require_policy = ["pcr:7"]\nmax_attestation_age = "30s"')
    expect(plugin.problems).toEqual([])
    assert(
      property(records, (change) => {
        const value: AgentRecord = {
          agentId,
          acceptTpmHashAlgs: ['sha256'],
          hasMbRefstate: false,
          ip: '127.0.0.1',
          port: 9002,
          receivedAt: NOW,
          ...change,
        }
        const decision = judgeAsPlugin(value, plugin)
        const host: FleetHost = {
          agentId,
          name: 'auth',
          spiffeId: 'spiffe://example.org/spire/agent/keylime/node-1',
          registered: { agentId, akTpm: Buffer.alloc(1), ekTpm: Buffer.alloc(1) },
          record: { verifier: 'keylime verifier v:8881', value },
          isRegistrationBroken: false,
          broken: undefined,
          decision,
          standing: standingOf(decision),
          spire: undefined,
          certificate: { failed: 'not asked' },
        }
        const row = statusRow(host, { failed }, NOW * 1000)
        const chain = chainOf({ host, row, failed, agent: undefined, entries: undefined, now: NOW * 1000 })
        const codes = chain.find(({ link }) => link === 'gate')?.codes ?? []
        expect(codes).toEqual(decision.kind === 'admit' ? [] : decision.reasons.map(({ code }) => code))
        expect(row.verdict.code).toBe(decision.kind === 'admit' ? null : decision.reasons[0].code)
      }),
      { numRuns: 200 },
    )
  })
})
