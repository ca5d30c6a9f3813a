/**
 * Keylime's services as the tool asks them: with the one client of the project, reading only.
 *
 * @module
 */
import type { Log } from '@tower-of-omens/keylime'
import { RegistrarClient, VerifierClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin, type RequestSeen } from '@tower-of-omens/keylime/https'
import { loadTlsFiles, watchTlsFiles } from '@tower-of-omens/keylime/tls-files'
import type { KeylimeService, Services } from '../site/services.ts'

/** Open services. */
export interface KeylimeSources {
  readonly verifiers: readonly VerifierClient[]
  readonly registrars: readonly RegistrarClient[]
  /** Closes every connection once it is idle. */
  close(): Promise<void>
}

/** How they are asked. */
export interface KeylimeSourceOptions {
  /** Limit of one request. */
  readonly timeoutMs: number
  readonly log?: Log
  readonly observe?: (seen: RequestSeen) => void
}

/** Longer than the time between two rounds: a look after a bell waits for no handshake. */
const VERIFIER_KEEP_ALIVE_MS = 30_000

/** How messages call the files. */
const NAMES = { caFile: 'keylime_ca_file', certFile: 'keylime_cert_file', keyFile: 'keylime_key_file' }

/**
 * Opens the services; nothing is connected before the first question.
 *
 * @param services How they are reached.
 * @param options How they are asked.
 * @returns The services, or what is wrong with the certificate files.
 */
export function openKeylime(
  services: Services,
  options: KeylimeSourceOptions,
): { readonly sources: KeylimeSources } | { readonly problems: readonly string[] } {
  const files = services.keylimeTls?.value
  if (files === undefined) {
    return {
      problems: [
        'no client certificate for Keylime: neither keylime_cert_file in /etc/towerkeep.hcl nor a tenant.conf was found',
      ],
    }
  }
  const loaded = loadTlsFiles(files, { names: NAMES })
  if (loaded.material === undefined || loaded.problems.length > 0) return { problems: loaded.problems }
  const tls = watchTlsFiles(files, loaded.material, {
    names: NAMES,
    ...(options.log === undefined ? { pollMs: 0 } : { log: options.log }),
  })
  const origins: HttpsOrigin[] = []
  const open = (role: string, { address, serverName }: KeylimeService, keepAliveMs?: number): HttpsOrigin => {
    const origin = new HttpsOrigin({
      role: `keylime ${role}`,
      ...address,
      serverName,
      tls,
      timeoutMs: options.timeoutMs,
      keepAliveMs,
      settings: {
        host: `keylime_${role}s`,
        serverName: `keylime_${role}_server_name`,
        timeout: '--timeout',
      },
      ...(options.observe !== undefined && { observe: options.observe }),
    })
    origins.push(origin)
    return origin
  }
  return {
    sources: {
      verifiers: services.verifiers.value.map(
        (service) => new VerifierClient(open('verifier', service, VERIFIER_KEEP_ALIVE_MS)),
      ),
      registrars: services.registrars.value.map((service) => new RegistrarClient(open('registrar', service))),
      close: async () => {
        tls.close()
        await Promise.all(origins.map((origin) => origin.close()))
      },
    },
  }
}
