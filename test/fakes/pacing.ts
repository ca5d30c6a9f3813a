// One request at a time, as the real verifier's single worker takes them.
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Makes a queue in front of one worker: each request occupies it for its service time, in order of arrival.
 * @param paced Whether to wait at all.
 * @returns Waits for the end of one request's service.
 */
export function newPacer(paced: boolean): (serviceMs: number) => Promise<void> {
  let freeAt = 0
  let turn = Promise.resolve()
  return async (serviceMs) => {
    if (!paced) return
    freeAt = Math.max(freeAt, performance.now()) + serviceMs
    const until = freeAt
    turn = takeTurn(turn, until)
    await turn
  }
}

async function takeTurn(before: Promise<void>, until: number): Promise<void> {
  await before
  const left = until - performance.now()
  if (left > 0) await wait(left)
}
