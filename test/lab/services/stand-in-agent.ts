/**
 * A Keylime agent for machines without the real one: registers, activates and quotes with a real (software) TPM and
 * serves the pull agent's API over mutual TLS. A process of its own: `node stand-in-agent.ts <configuration file>`.
 *
 * @module
 */
import { createHash, createHmac, createPublicKey, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import { join } from 'node:path'
import { RigError, reasonOf } from '../processes/errors.ts'
import { writeSelfSigned } from './certificates.ts'
import { answerStandIn, type StandInAgent } from './stand-in-api.ts'
import { openStandInTpm, type TpmIdentity } from './stand-in-tpm.ts'

/** The configuration file, JSON. */
export interface StandInConfig {
  readonly tcti: string
  /** Private folder for temporary files. */
  readonly dir: string
  /** "hash_ek", or the ID itself; for what is no UUID the real agent makes a random one at each start. */
  readonly uuid: string
  readonly host: string
  readonly port: number
  /** Base URL of the registrar's plain HTTP port. */
  readonly registrarUrl: string
  /** Written at start when missing, as the real agent does: a self-signed certificate named for the agent. */
  readonly certFile: string
  readonly keyFile: string
  /** PEM files of the clients' CAs, or of a self-signed client itself. */
  readonly clientCaFiles: readonly string[]
  /** Address it registers for the verifier to poll; default: `host`. */
  readonly contactIp?: string
  /** IMA list as the kernel would show it; sent with integrity quotes whose mask holds PCR 10. */
  readonly imaListFile?: string
  /** Firmware event log; sent with integrity quotes whose mask holds PCR 0. */
  readonly bootLogFile?: string
  /** False: plain HTTP, open to everybody on this machine. */
  readonly mtls?: boolean
}

const REGISTRAR_API = '/v2.5'

async function main(): Promise<void> {
  const configFile = process.argv[2]
  if (configFile === undefined) throw new RigError('usage: node stand-in-agent.ts <configuration file>')
  const config = JSON.parse(readFileSync(configFile, 'utf8')) as StandInConfig
  const tpm = openStandInTpm(config.tcti, config.dir)
  const identity = await tpm.identity()
  const agentId = agentIdOf(config.uuid, identity)
  const publicKeyPem = await requireKeys(config, agentId)

  await register(config, agentId, identity, (blob) => tpm.activate(blob))
  log(`Agent UUID: ${agentId}`)
  await serve(config, { agentId, tpm, publicKeyPem, imaListFile: config.imaListFile, bootLogFile: config.bootLogFile })
  log(`Listening on https://${config.host}:${config.port}`)
}

/** @see rust-keylime 3a4d5654, keylime-agent/src/main.rs and keylime/src/config/base.rs, `uuid` */
function agentIdOf(uuid: string, { ekPem }: TpmIdentity): string {
  if (uuid === 'hash_ek') return createHash('sha256').update(ekPem).digest('hex')
  return /^([0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(uuid) ? uuid : randomUUID()
}

/** The real agent reads one certificate of its file, and so registers and presents its leaf alone. */
function leafOf({ certFile }: StandInConfig): string {
  return new X509Certificate(readFileSync(certFile)).toString()
}

/**
 * Certificate and payload key are made once and kept, as the real agent keeps them: the verifier remembers both.
 *
 * @returns PEM of the payload key's public half.
 */
async function requireKeys(config: StandInConfig, agentId: string): Promise<string> {
  const { certFile, keyFile } = config
  const payloadKeyFile = join(config.dir, 'payload-private.pem')
  if (!existsSync(certFile)) {
    const altNames = 'DNS:localhost,DNS:localhost.domain,IP:127.0.0.1,IP:::1'
    // A common name holds 64 characters at most, just enough for a hash in hex.
    await writeSelfSigned({ certFile, keyFile, commonName: agentId.slice(0, 64), usage: 'serverAuth', altNames })
  }
  if (!existsSync(payloadKeyFile)) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    writeFileSync(payloadKeyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  }
  return createPublicKey(readFileSync(payloadKeyFile)).export({ type: 'spki', format: 'pem' })
}

async function register(
  config: StandInConfig,
  agentId: string,
  identity: TpmIdentity,
  activate: (blob: Buffer) => Promise<Buffer>,
): Promise<void> {
  const path = `${REGISTRAR_API}/agents/${agentId}`
  const registered = await post(config, 'POST', path, {
    ek_tpm: identity.ekTpm,
    ekcert: identity.ekCert,
    aik_tpm: identity.akTpm,
    mtls_cert: config.mtls === false ? 'disabled' : leafOf(config),
    ip: config.contactIp ?? config.host,
    port: config.port,
  })
  const secret = await activate(Buffer.from(String(registered.blob), 'base64'))
  const tag = createHmac('sha384', secret.toString('base64')).update(agentId).digest('hex')
  await post(config, 'PUT', `${path}/activate`, { auth_tag: tag })
}

async function post(
  config: StandInConfig,
  method: string,
  path: string,
  body: unknown,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(config.registrarUrl + path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  })
  const text = await answer.text()
  if (answer.status !== 200)
    throw new RigError(`registrar answered ${answer.status} to ${method} ${path}: ${text.replace(/\s+/g, ' ')}`)
  return (JSON.parse(text) as { results?: Record<string, unknown> }).results ?? {}
}

function serve(config: StandInConfig, agent: StandInAgent): Promise<void> {
  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = '', url = '' } = incoming
    const answer = await answerStandIn(agent, method, url)
    log(`${method} ${url.split('?')[0]} ${answer.code}`)
    outgoing.writeHead(answer.code, {
      'content-type': 'application/json',
      ...(server.listening ? {} : { connection: 'close' }),
    })
    outgoing.end(JSON.stringify(answer))
  }
  const listener: RequestListener = (incoming, outgoing) => void respond(incoming, outgoing)
  const server = config.mtls === false ? createHttpServer(listener) : createServer(tlsOptions(config), listener)
  // As the real agent does: who is being answered gets the answer.
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0))
    server.closeIdleConnections()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.port, config.host, resolve)
  })
}

function tlsOptions(config: StandInConfig): ServerOptions {
  return {
    // Given twice, since OpenSSL would complete one alone by the issuers among the clients' CAs.
    cert: `${leafOf(config)}${leafOf(config)}`,
    key: readFileSync(config.keyFile),
    ca: config.clientCaFiles.map((file) => readFileSync(file)),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  }
}

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}

// The last line of the log is what the rig shows, so it must say why.
try {
  await main()
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exit(1)
}
