/**
 * Keylime's services as an administrator commands them. The daemon does not import this.
 *
 * @module
 */
import { RegistrarAdmin, VerifierAdmin } from '@tower-of-omens/keylime/admin'
import { KeylimeAgentClient, RegistrarClient, VerifierClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin } from '@tower-of-omens/keylime/https'
import { loadTlsFiles, type TlsSource, watchTlsFiles } from '@tower-of-omens/keylime/tls-files'
import { EXIT } from '../exit-codes.ts'
import { OperatorError } from '../operator-error.ts'
import type { KeylimeService, Services } from '../site/services.ts'

/** One verifier, to ask and to command. */
export interface VerifierPair {
  readonly reader: VerifierClient
  readonly admin: VerifierAdmin
}

/** One registrar, to ask and to command. */
export interface RegistrarPair {
  readonly reader: RegistrarClient
  readonly admin: RegistrarAdmin
}

/** Open services. */
export interface KeylimeAdminSources extends AsyncDisposable {
  readonly verifiers: readonly VerifierPair[]
  readonly registrars: readonly RegistrarPair[]
  /**
   * Opens a node's Keylime agent, which must know our certificate's CA.
   * @param address Where it listens.
   * @param serverName Name in its certificate, where it is not the host.
   */
  agent(address: { readonly host: string; readonly port: number }, serverName?: string): KeylimeAgentClient
}

/**
 * Opens the services for commands.
 *
 * @param services How they are reached.
 * @param timeoutMs Limit of one request.
 * @returns The services; dispose of them when done.
 * @throws {OperatorError} `TK-CONF-ABSENT`, exit 69: no client certificate, or it cannot be used.
 */
export function openKeylimeAdmin(services: Services, timeoutMs: number): KeylimeAdminSources {
  const files = services.keylimeTls?.value
  const loaded = files === undefined ? undefined : loadTlsFiles(files)
  if (files === undefined || loaded?.material === undefined || loaded.problems.length > 0) {
    const why =
      loaded?.problems.join('; ') ?? 'neither keylime_cert_file in /etc/towerkeep.hcl nor a tenant.conf was found'
    throw new OperatorError('TK-CONF-ABSENT', `no client certificate for Keylime: ${why}`, { exit: EXIT.unavailable })
  }
  const tls = watchTlsFiles(files, loaded.material, { pollMs: 0 })
  const origins: HttpsOrigin[] = []
  const open = (role: string, service: KeylimeService): HttpsOrigin => {
    const origin = originOf(role, service, tls, timeoutMs)
    origins.push(origin)
    return origin
  }
  return {
    verifiers: services.verifiers.value.map((service) => {
      const origin = open('verifier', service)
      return { reader: new VerifierClient(origin), admin: new VerifierAdmin(origin) }
    }),
    registrars: services.registrars.value.map((service) => {
      const origin = open('registrar', service)
      return { reader: new RegistrarClient(origin), admin: new RegistrarAdmin(origin) }
    }),
    agent: (address, serverName) => new KeylimeAgentClient(open('agent', { address, serverName })),
    [Symbol.asyncDispose]: async () => {
      tls.close()
      await Promise.all(origins.map((origin) => origin.close()))
    },
  }
}

function originOf(
  role: string,
  { address, serverName }: KeylimeService,
  tls: TlsSource,
  timeoutMs: number,
): HttpsOrigin {
  return new HttpsOrigin({
    role: `keylime ${role}`,
    ...address,
    serverName,
    tls,
    timeoutMs,
    settings: { host: `keylime_${role}s`, serverName: `keylime_${role}_server_name`, timeout: '--timeout' },
  })
}
