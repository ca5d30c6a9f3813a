/**
 * The PostgreSQL that two sites share.
 *
 * @module
 */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { postgresqlBin } from '../parts/debian-archive.ts'
import { RigError } from '../processes/errors.ts'
import type { ProcessStarter } from '../processes/processes.ts'
import { Postgresql } from '../services/postgresql.ts'
import { SERVICES_IP } from './hosts.ts'

/**
 * Raises PostgreSQL with a database for SPIRE and one for the registrars.
 *
 * @param starter Starts processes on its host.
 * @param dir Folder of the tower, which PostgreSQL's own user may then pass through.
 * @throws {RigError} There is none on this machine, or it does not come up.
 */
export async function raiseDatabase(starter: ProcessStarter, dir: string): Promise<Postgresql> {
  const binDir = postgresqlBin()
  if (binDir === undefined) throw new RigError('two sites need PostgreSQL, which is not to be had here')
  chmodSync(dir, 0o711)
  const place = { dir: join(dir, 'postgresql'), binDir, ip: SERVICES_IP, clients: '10.10.2.0/24' }
  return Postgresql.start(starter, place, ['spire', 'registrar'])
}
