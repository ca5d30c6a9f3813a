/**
 * What can happen to a host of the tower, on purpose: each is one verb of the command.
 *
 * @module
 */
import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { RigError } from '../processes/errors.ts'
import { meaningOf } from '../services/keylime-admin.ts'
import type { TowerHost } from './host.ts'
import type { Tower } from './tower.ts'

/** PCR that `tamper` extends; it holds the Secure Boot policy on PCs, and the tower's policy pins it. */
const TAMPERED_PCR = 7

/** What the verifier notes for a quote whose clock went back, in its own spelling. */
const CLOCK_EVENT = 'qoute_validation.quote_validation'

/** Any fixed moment: a later power cut must give a later clock. */
const CLOCK_EPOCH_MS = Date.UTC(2025, 0, 1)

/** Extends a pinned PCR with what no good boot measures. */
export async function tamper(host: TowerHost): Promise<void> {
  await host.measured.tpm.extendPcr(TAMPERED_PCR, createHash('sha256').update(randomUUID()).digest('hex'))
}

/** Boots a host again in good order; Keylime must then begin anew if it had given the host up. */
export async function rebootAndHeal(tower: Tower, host: TowerHost): Promise<void> {
  await host.reboot()
  await heal(tower, host)
}

/**
 * Has the verifier begin anew with a host that it failed, and waits for a quote that passes. In push mode a failure stays
 * until the host is enrolled anew.
 *
 * @throws {RigError} The host's quotes still fail: what failed it has not been mended.
 */
export async function heal(tower: Tower, host: TowerHost): Promise<void> {
  const { admin } = tower.keylimeOf(host)
  const before = await admin.enrolled(host.agentId)
  if (host.mode === 'push') {
    if (before !== undefined) await admin.unenrol(host.agentId)
    return tower.enrol(host)
  }
  if (before === undefined) throw new RigError(`${host.name} is not enrolled`)
  // After a power cut the TPM's clock is behind the last quote's, and every quote fails until it has passed it.
  const meaning = meaningOf(before)
  if (meaning === 'rejected' && before.lastEventId === CLOCK_EVENT) {
    await host.measured.tpm.run('tpm2_setclock', [String(Date.now() - CLOCK_EPOCH_MS)])
  }
  // Only when it is not polled: a second poller would be started beside the first.
  if (meaning === 'failed' || meaning === 'rejected') await admin.reactivate(host.agentId)
  await admin.waitFor(
    host.agentId,
    `${host.name} to pass a new quote`,
    (now) =>
      (now.lastSuccessfulAttestation ?? 0) > (before.lastSuccessfulAttestation ?? 0) && meaningOf(now) === 'polled',
  )
}

/** Pulls the plug, and switches the host on again: the TPM's clock has jumped back. */
export async function powerCut(host: TowerHost): Promise<void> {
  await host.reboot({ how: 'power cut' })
}

/**
 * Lets the Keylime agent's certificate expire: a short one is issued, served, and waited out.
 *
 * @throws {RigError} The host is in push mode.
 */
export async function expire(host: TowerHost): Promise<void> {
  if (host.mode === 'push') throw new RigError(`${host.name} is in push mode: it has no certificate that could expire`)
  await host.renewCertificates({ ttl: '3s' })
  const { validToDate } = new X509Certificate(readFileSync(host.files.agentCert))
  await delay(Math.max(0, validToDate.getTime() - Date.now()) + 1_000)
}

/** Renews a host's certificates; the Keylime agent reads them only when it starts. In push mode there are none to renew. */
export async function renew(tower: Tower, host: TowerHost): Promise<void> {
  if (host.mode === 'push') return
  await host.renewCertificates()
  await heal(tower, host)
}

/** Takes a host off the network, or puts it back. */
export function partition(tower: Tower, host: TowerHost, connected: boolean): void {
  tower.network.connect(host.name, connected)
}
