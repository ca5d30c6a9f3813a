// The daemon as a process at a fake site, and a verifier that rings its bell.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type Agent, request } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { IssuedCertificate } from '../../fakes/pki.ts'
import type { FakeSite } from './towerkeep.ts'

const MAIN = join(import.meta.dirname, '../../../operator/main.ts')

/** A running daemon. */
export interface WatchDaemon extends AsyncDisposable {
  readonly process: ChildProcess
  readonly bellPort: number
  readonly httpPort: number
  readonly auditFile: string
  readonly readSocket: string
  readonly adminSocket: string
  log(): string
  /** Gets a page of its HTTP server. */
  get(path: string): Promise<Response>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Finds a port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/**
 * Starts the daemon and waits until it watches.
 * @param main The program; default: the sources.
 */
export async function startWatch(
  site: FakeSite,
  watch = 'mode = "ban"',
  main: readonly string[] = [process.execPath, MAIN],
): Promise<WatchDaemon> {
  const [bellPort, httpPort] = [await freePort(), await freePort()]
  const { pki, ca } = site.keylime
  const bell = pki.writePair('bell', await ca.issue('towerkeep'))
  const auditFile = join(site.folder, 'audit.jsonl')
  const [readSocket, adminSocket] = [join(site.folder, 'run/read.sock'), join(site.folder, 'run/admin.sock')]
  const settings = (more: string): string => `watch {
  bell_address = "127.0.0.1:${bellPort}"
  bell_cert_file = "${bell.certFile}"
  bell_key_file = "${bell.keyFile}"
  verifier_names = ["the-verifier"]
  http_address = "127.0.0.1:${httpPort}"
  read_socket = "${readSocket}"
  admin_socket = "${adminSocket}"
  audit_file = "${auditFile}"
  ${more}
}`
  site.configure(settings(watch))
  const [command = '', ...words] = main
  const child = spawn(command, [...words, 'watch', '--config', site.config, '--timeout', '3s'], {
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  let log = ''
  child.stderr?.on('data', (chunk) => {
    log += String(chunk)
  })
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${httpPort}${path}`)
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }
  for (let tries = 0; ; tries += 1) {
    const ready = await get('/ready').catch(() => undefined)
    if (ready?.status === 200) break
    if (tries > 200 || child.exitCode !== null) throw new Error(`the daemon does not watch: ${log}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return {
    process: child,
    bellPort,
    httpPort,
    auditFile,
    readSocket,
    adminSocket,
    log: () => log,
    get,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** What a ring sends. */
export interface Ring {
  readonly agentId?: string
  readonly body?: string | Buffer
  /** Undefined: none is sent. */
  readonly certificate?: IssuedCertificate | undefined
}

/** Rings a daemon's bell. */
export async function ringBell(
  daemon: Pick<WatchDaemon, 'bellPort'>,
  site: FakeSite,
  ring: Ring,
  agent?: Agent,
): Promise<number | string> {
  const message = { type: 'revocation', ip: '127.0.0.1', agent_id: ring.agentId ?? '', event_id: 'pcr_validation' }
  const body = ring.body ?? JSON.stringify({ msg: JSON.stringify(message), signature: '' })
  const { certificate } = ring
  return new Promise((resolve) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: daemon.bellPort,
        path: '/keylime',
        method: 'POST',
        ca: site.keylime.ca.pem,
        ...(certificate !== undefined && { cert: certificate.pem, key: certificate.keyPem() }),
        ...(agent !== undefined && { agent }),
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => resolve(answer.statusCode ?? 0))
      },
    )
    sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    sent.end(body)
  })
}

/** Changes the daemon's configuration in place. */
export function reconfigure(site: FakeSite, text: string): void {
  writeFileSync(site.config, text)
}
