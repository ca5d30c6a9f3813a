import { expect, it } from 'vitest'
import type { Fleet } from '../../../../operator/fleet.ts'
import { FleetLooks } from '../../../../operator/watch/fleet-looks.ts'

/** Looks that end when the test says so, on a clock of its own. */
function staged() {
  const ends: PromiseWithResolvers<Fleet>[] = []
  const clock = { now: 1_000 }
  const looks = new FleetLooks(
    () => {
      const end = Promise.withResolvers<Fleet>()
      ends.push(end)
      return end.promise
    },
    () => clock.now,
  )
  return { looks, clock, ends }
}

// The looks hand a fleet on and never read it.
const fleet = (): Fleet => Object.create(null) as Fleet
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('gives a person a look that began after the question, however new the last one is [watch:status:after-question]', async () => {
  const { looks, clock, ends } = staged()
  const page = looks.atMost(2_000)
  clock.now += 10
  const person = looks.atMost(0)
  await settled()
  expect(ends).toHaveLength(1)
  const [older, newer] = [fleet(), fleet()]
  ends[0]?.resolve(older)
  expect((await page).fleet).toBe(older)
  await settled()
  expect(ends).toHaveLength(2)
  ends[1]?.resolve(newer)
  expect((await person).fleet).toBe(newer)
  expect((await looks.atMost(2_000)).fleet).toBe(newer)
  clock.now += 2_001
  void looks.atMost(2_000)
  await settled()
  expect(ends).toHaveLength(3)
})

it('lets all who wait share one look, and never has two at once', async () => {
  const { looks, clock, ends } = staged()
  void looks.atMost(0)
  clock.now += 1
  const many = Array.from({ length: 20 }, () => looks.atMost(0))
  ends[0]?.resolve(fleet())
  await settled()
  await settled()
  expect(ends).toHaveLength(2)
  ends[1]?.resolve(fleet())
  expect(new Set(await Promise.all(many)).size).toBe(1)
})

it('tells a failure to the question that began the look, and looks anew for the others', async () => {
  const { looks, ends } = staged()
  const [first, second] = [looks.atMost(2_000), looks.atMost(2_000)]
  ends[0]?.reject(new Error('no answer'))
  await expect(first).rejects.toThrow('no answer')
  await settled()
  const found = fleet()
  ends[1]?.resolve(found)
  expect((await second).fleet).toBe(found)
})
