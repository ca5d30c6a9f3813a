/**
 * OpenBao on host `spire`: the certificate authority of the tower, and a judge of its JWT-SVIDs.
 *
 * @module
 */
import type { ProcessStarter } from '../processes/processes.ts'
import type { OpenBao } from '../services/openbao.ts'
import { installPair, type RootCa } from '../services/pki.ts'
import { SERVICE_NAMES, SERVICES_IP } from './hosts.ts'

/**
 * Raises OpenBao with the intermediate under our root; from then on it serves with a certificate of its own making.
 *
 * @param bao Where it is to run.
 * @param root Signs the intermediate.
 * @param starter Starts processes on its host.
 * @param program Path of `bao`.
 * @throws {RigError} It does not come up, or refuses.
 */
export async function raiseAuthority(
  bao: OpenBao,
  root: RootCa,
  starter: ProcessStarter,
  program: string,
): Promise<void> {
  const started = starter.start({ name: 'openbao', command: program, args: bao.prepare(root) })
  await bao.initialise(() => started.requireRunning())
  await bao.makeAuthority(root)
  const own = await bao.issue({
    role: 'openbao-server',
    commonName: SERVICE_NAMES.openbao,
    ips: [SERVICES_IP, '127.0.0.1'],
    ttl: '720h',
  })
  installPair(own, bao.certFile, bao.keyFile)
  started.kill('SIGHUP')
}
