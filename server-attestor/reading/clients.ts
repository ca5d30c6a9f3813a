/**
 * The Keylime services of one configuration: connections, records, opinions, and the files they speak TLS with.
 *
 * @module
 */
import type { AgentId, HostPort, Log } from '@tower-of-omens/keylime'
import { AttestationsClient, RegistrarClient, type RegistrarRecord, VerifierClient } from '@tower-of-omens/keylime/api'
import { HttpsOrigin, type RequestSeen } from '@tower-of-omens/keylime/https'
import type { TlsFileNames, TlsFiles, TlsMaterial } from '@tower-of-omens/keylime/tls-files'
import { CertificateWatch, type TlsSource, watchTlsFiles } from '@tower-of-omens/keylime/tls-files'
import { JudgedEvidenceReader } from './judged-evidence.ts'
import { type Asker, Lanes } from './lanes.ts'
import { RecordReader } from './record-reader.ts'
import { RegistrarRecords } from './registrar-records.ts'
import { SecondOpinion } from './second-opinion.ts'
import { type SentAway, ServiceGroup } from './service-group.ts'

/** The services and the way to them. */
export interface ServiceSettings {
  readonly verifiers: readonly HostPort[]
  readonly registrars: readonly HostPort[]
  readonly verifierServerName?: string | undefined
  readonly registrarServerName?: string | undefined
  readonly requestTimeoutMs: number
  readonly opinionTtlMs: number
  readonly tls: { readonly files: TlsFiles; readonly material: TlsMaterial }
}

/** One verifier with what is remembered of it. */
export interface Verifier {
  readonly name: string
  readonly client: VerifierClient
  readonly reader: RecordReader
  readonly opinion: SecondOpinion
  /** What it judged, of nodes in push mode. */
  readonly judged: JudgedEvidenceReader
}

/** The open services of one configuration. */
export interface KeylimeClients {
  readonly verifiers: ServiceGroup<Verifier>
  readonly registrar: RegistrarRecords
  /** Opens a first connection to each service and learns what it speaks; once, whoever calls. */
  readonly greet: () => void
  /** Closes every connection once it is idle. */
  close(): Promise<void>
}

/** Who is told what the services come to; nothing here ever throws. */
export interface ClientObserver {
  readonly request: (seen: RequestSeen) => void
  /** Share of its life that our client certificate has left. */
  readonly certificate: (left: number, certFile: string) => void
}

/** How messages call the TLS files. */
export const TLS_FILE_NAMES: TlsFileNames = {
  caFile: 'keylime_tls_ca_cert_file',
  certFile: 'keylime_tls_cert_file',
  keyFile: 'keylime_tls_key_file',
}

/**
 * Opens the services. Nothing is connected before the first attestation.
 *
 * @param settings How they are reached.
 * @param log Told of reloaded and broken files, and of services that fail and come back.
 * @param observe Told what requests and certificates come to.
 * @returns The services; close them when the last attestation that uses them has ended.
 */
export function openClients(settings: ServiceSettings, log: Log, observe: ClientObserver): KeylimeClients {
  const { files, material } = settings.tls
  const watch = watchTlsFiles(files, material, { names: TLS_FILE_NAMES, log })
  const certificates = new CertificateWatch(watch, { log, gauge: observe.certificate })
  certificates.look()
  const origins: HttpsOrigin[] = []
  const open = (role: 'verifier' | 'registrar', address: HostPort): HttpsOrigin => {
    const origin = newOrigin(role, address, settings, watch, observe.request)
    origins.push(origin)
    return origin
  }
  const verifiers = settings.verifiers.map((address) => newVerifier(open('verifier', address), settings.opinionTtlMs))
  const registrars = settings.registrars.map((address) => newRegistrar(open('registrar', address)))
  // What fails here fails again for the first request that needs the answer, and is told there.
  const greet = once(() => {
    for (const { client } of [...registrars, ...verifiers]) client.version().catch(() => undefined)
  })
  return {
    verifiers: new ServiceGroup(
      verifiers.map((service) => ({ name: service.name, service })),
      log,
      { release: releaseVerifier },
    ),
    registrar: newRegistrarRecords(registrars, log),
    greet,
    close: () => closeAll([watch, certificates], origins),
  }
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    work()
  }
}

function newOrigin(
  role: 'verifier' | 'registrar',
  { host, port }: HostPort,
  settings: ServiceSettings,
  tls: TlsSource,
  observe: (seen: RequestSeen) => void,
): HttpsOrigin {
  return new HttpsOrigin({
    role: `keylime ${role}`,
    host,
    port,
    serverName: role === 'verifier' ? settings.verifierServerName : settings.registrarServerName,
    tls,
    timeoutMs: settings.requestTimeoutMs,
    settings: {
      host: `keylime_${role}_host`,
      port: `keylime_${role}_port`,
      serverName: `keylime_${role}_server_name`,
      timeout: 'request_timeout',
    },
    observe,
  })
}

function newVerifier(origin: HttpsOrigin, opinionTtlMs: number): Verifier {
  const client = new VerifierClient(origin)
  const opinion = new SecondOpinion(client, opinionTtlMs)
  return {
    name: client.name,
    client,
    reader: new RecordReader(client, { opinionsWaiting: () => opinion.waiting }),
    opinion,
    judged: new JudgedEvidenceReader(new AttestationsClient(origin)),
  }
}

function releaseVerifier({ reader, opinion, judged }: Verifier, error: SentAway): void {
  reader.release(error)
  opinion.release(error)
  judged.release(error)
}

interface Registrar {
  readonly client: RegistrarClient
  readonly lanes: Lanes
}

function newRegistrar(origin: HttpsOrigin): Registrar {
  return { client: new RegistrarClient(origin), lanes: new Lanes() }
}

function newRegistrarRecords(registrars: readonly Registrar[], log: Log): RegistrarRecords {
  const members = registrars.map((service) => ({ name: service.client.name, service }))
  // Not sticky: anyone can register an ID at a second registrar, which must not outlive a hiccup of the first.
  const group = new ServiceGroup(members, log, {
    sticky: false,
    release: ({ lanes }, error) => lanes.release(error),
  })
  const readFrom = (
    { client, lanes }: Registrar,
    agentId: AgentId,
    asker: Asker,
    signal: AbortSignal,
    begin: () => void = () => undefined,
  ): Promise<RegistrarRecord> =>
    lanes.run(asker, signal, () => {
      begin()
      return client.getAgent(agentId, { signal })
    })
  return new RegistrarRecords({
    read: (agentId, asker, signal, begin) =>
      group.askInTurn(agentId, signal, (one) => readFrom(one, agentId, asker, signal, begin)),
    readEach: (agentId, asker, signal) =>
      registrars.length > 1 ? registrars.map((one) => readFrom(one, agentId, asker, signal)) : [],
  })
}

async function closeAll(watches: readonly { close(): void }[], origins: readonly HttpsOrigin[]): Promise<void> {
  for (const watch of watches) watch.close()
  await Promise.all(origins.map((origin) => origin.close()))
}
