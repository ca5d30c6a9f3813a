/**
 * Starts the webhook that evicts, on host `spire`.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pollUntil } from '../processes/poll.ts'
import type { RigProcess } from '../processes/processes.ts'
import type { EvictorConfig } from './evictor.ts'
import { DOMAIN, KEYLIME_PORTS, SERVICE_NAMES } from './hosts.ts'
import type { Tower } from './tower.ts'

/** Port of the webhook. */
export const EVICTOR_PORT = 9444

/**
 * Starts it and waits until it listens.
 *
 * @param tower A tower raised with `webhook`.
 */
export async function startEvictor(tower: Tower, spireBin: string): Promise<RigProcess> {
  const { certificates } = tower
  const config: EvictorConfig = {
    port: EVICTOR_PORT,
    certFile: certificates.cert('evictor'),
    keyFile: certificates.key('evictor'),
    caFile: certificates.chain,
    verifierName: SERVICE_NAMES.verifier,
    verifierPort: KEYLIME_PORTS.verifier,
    trustDomain: DOMAIN,
    spireServer: join(spireBin, 'spire-server'),
    spireSocket: tower.spire.socketPath,
  }
  const file = join(tower.dir, 'evictor.json')
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  const program = join(import.meta.dirname, 'evictor.ts')
  const started = tower.on('spire').start({ name: 'evictor', command: process.execPath, args: [program, file] })
  await pollUntil('the evictor to listen', () => started.readLog().includes('Listening'), {
    logFile: started.logFile,
    abort: () => started.requireRunning(),
  })
  return started
}
