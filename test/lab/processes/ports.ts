/**
 * Free TCP ports on 127.0.0.1, below the range the kernel hands out for outgoing connections.
 *
 * @module
 */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { RigError } from './errors.ts'

/** Linux gives outgoing connections 32768 and up, so that a port picked below cannot be taken by one of them. */
const LOWEST = 20_000
const HIGHEST = 31_990

/**
 * Picks consecutive ports nobody listens on.
 *
 * @param count How many in a row, 1 to 10. A swtpm client uses its port and the next one.
 * @returns The first of them.
 * @throws {RigError} 200 tries found no free row.
 */
export async function freePorts(count = 1): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = randomInt(LOWEST, HIGHEST - count)
    const row = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(row.map(isFree))
    if (free.every(Boolean)) return first
  }
  throw new RigError(`no ${count} free ports in a row between ${LOWEST} and ${HIGHEST} on 127.0.0.1`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
