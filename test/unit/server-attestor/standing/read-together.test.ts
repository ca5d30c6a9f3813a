import { expect, it } from 'vitest'
import type { RegistrarRecord } from '../../../../plugins/keylime/api/v2/registrar-record.ts'
import { parseAgentId } from '../../../../plugins/keylime/basis/ids.ts'
import type { Proof } from '../../../../server-attestor/proof.ts'
import { RegistrarRecords } from '../../../../server-attestor/reading/registrar-records.ts'
import { type Found, readTogether } from '../../../../server-attestor/standing/read-together.ts'

const record = (ak: string): RegistrarRecord => ({
  agentId: parseAgentId('node-1'),
  akTpm: Buffer.from(ak),
  ekTpm: Buffer.from('ek'),
})
const proofBy = (registered: RegistrarRecord, readAt: number): Proof => ({ registered, contested: false, readAt })

/** Asks after a wait of so many milliseconds in the queue; the registrar then holds another read of the record. */
async function asked(
  waitMs: number,
  ak: string,
): Promise<{ readonly proofs: readonly Proof[]; readonly renewals: number }> {
  const clock = { now: 0 }
  const nobody = { read: () => Promise.reject(new Error('not asked')), readEach: () => [] }
  const registrar = new RegistrarRecords(nobody, () => clock.now)
  const proofs: Proof[] = []
  let renewals = 0
  await readTogether(
    proofBy(record('ak'), 0),
    { registrar },
    {
      ask: (proof) => {
        proofs.push(proof)
        clock.now += waitMs
        // Handed on unread.
        return Promise.resolve(Object.create(null) as Found)
      },
      renew: () => {
        renewals += 1
        return Promise.resolve(proofBy(record(ak), clock.now))
      },
    },
  )
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
