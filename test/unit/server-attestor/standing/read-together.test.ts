import { expect, it } from 'vitest'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { Proof } from '../../../../server-attestor/proof.ts'
import { type Found, readTogether } from '../../../../server-attestor/standing/read-together.ts'
import type { Standing } from '../../../../server-attestor/standing/standing.ts'

const record = (ak: string): RegistrarRecord => ({
  agentId: parseAgentId('node-1'),
  akTpm: Buffer.from(ak),
  ekTpm: Buffer.from('ek'),
})
const proofBy = (registered: RegistrarRecord, readAt: number): Proof => ({ registered, contested: false, readAt })

/** Asks the verifier after a wait of so many milliseconds in its queue; the registrar then holds another read of the record. */
async function asked(
  waitMs: number,
  ak: string,
): Promise<{ readonly proofs: readonly Proof[]; readonly renewals: number }> {
  let now = 0
  const proofs: Proof[] = []
  let renewals = 0
  await readTogether(proofBy(record('ak'), 0), {
    ask: (proof) => {
      proofs.push(proof)
      now += waitMs
      const first: Partial<Standing> = { kind: 'known', readAt: now }
      // Its opinion may take as long as it likes.
      now += 60_000
      // The rest is handed on unread.
      return Promise.resolve({ first } as Found)
    },
    renew: () => {
      renewals += 1
      return Promise.resolve(proofBy(record(ak), now))
    },
  })
  return { proofs, renewals }
}

it('reads the registrar again after a long wait, and asks nothing twice of a record that says the same', async () => {
  expect(await asked(4_000, 'ak')).toMatchObject({ renewals: 0, proofs: [{ readAt: 0 }] })
  expect(await asked(14_000, 'ak')).toMatchObject({ renewals: 1, proofs: [{ readAt: 0 }] })
})

it('asks again by the newer record when the ID has another key by then [claims:cache:one-version]', async () => {
  const { proofs } = await asked(14_000, 'another ak')
  expect(proofs.map(({ registered }) => String(registered.akTpm))).toEqual(['ak', 'another ak'])
})

it("asks once where the registrar's record is newer than the verifier's, however long an opinion took", async () => {
  const proofs: Proof[] = []
  let renewals = 0
  await readTogether(
    { ...proofBy(record('ak'), 0), readAt: undefined },
    {
      ask: (proof) => {
        proofs.push(proof)
        return Promise.resolve({ first: { kind: 'known', readAt: 1_000 } as Partial<Standing> } as Found)
      },
      renew: () => {
        renewals += 1
        return Promise.resolve(proofBy(record('ak'), 30_000))
      },
    },
  )
  expect([proofs.length, renewals]).toEqual([1, 1])
})
