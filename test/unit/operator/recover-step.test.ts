import { parseAgentId } from '@tower-of-omens/keylime'
import { describe, expect, it } from 'vitest'
import { recoverStep } from '../../../operator/act/recover-step.ts'
import type { FleetHost } from '../../../operator/fleet.ts'
import { DoneButLook } from '../../../operator/plan/step.ts'
import type { VerifierPair } from '../../../operator/sources/admin.ts'
import { KeylimeError, type KeylimeErrorCode } from '../../../plugins/keylime/basis/errors.ts'

/** What the step of a host makes of a verifier's error. */
async function endOf(code: KeylimeErrorCode): Promise<unknown> {
  const reactivate = (): Promise<void> => Promise.reject(new KeylimeError(code, 'says the verifier'))
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const verifier = { reader: { name: 'verifier' }, admin: { reactivate } } as unknown as VerifierPair
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const host = { agentId: parseAgentId('node-1'), name: 'auth', record: undefined } as unknown as FleetHost
  const step = recoverStep(host, { kind: 'reactivate', awaySeconds: 1 }, 0, [verifier], 10)
  return step.act(new AbortController().signal).catch((error: unknown) => error)
}

describe('the recovery of one host', () => {
  it.each(['KEYLIME_AGENT_UNKNOWN', 'KEYLIME_CONFLICT', 'KEYLIME_BAD_RESPONSE'] as const)(
    'that the verifier refuses with %s leaves the others their turn',
    async (code) => {
      const error = await endOf(code)
      expect([error instanceof DoneButLook, String(error)]).toEqual([
        true,
        expect.stringContaining('auth was not brought back: says the verifier'),
      ])
    },
  )

  it('ends the run where the verifier itself is away', async () => {
    expect(await endOf('KEYLIME_UNREACHABLE')).toMatchObject({ code: 'KEYLIME_UNREACHABLE' })
  })
})
