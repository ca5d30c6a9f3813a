/**
 * A thousand hosts, one daemon: from the bell to the ban.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { getAgent, listAgents, SpireConnection } from '@tower-of-omens/spire-api'
import { parseHcl } from '@tower-of-omens/spire-sdk/hcl'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import type { IssuedCertificate } from '../fakes/pki.ts'
import { prepareParts } from '../lab/parts/prepare.ts'
import { freePorts } from '../lab/processes/ports.ts'
import { Processes } from '../lab/processes/processes.ts'
import type { ConfObject } from '../lab/services/hcl-text.ts'
import { SpireServer } from '../lab/services/spire-server.ts'
import { towerkeepProgram } from '../lab/tower/keeping.ts'
import { LoadWatch, type MachineLoad } from './machine-load.ts'
import { openSpireClient } from './spire-client.ts'

/** What was measured. */
export interface ScaleResult {
  readonly hosts: number
  readonly spire: string
  /** From each bell to its ban, one failure at a time. */
  readonly singleMs: readonly number[]
  /** From the first bell of a burst to each ban. */
  readonly burstMs: readonly number[]
  /** From a changed PCR to the refusal of an attestation, while every agent syncs. */
  readonly endToEndMs: readonly number[]
  readonly rssMb: number
  readonly pollPercent: number
  readonly load: MachineLoad
}

const HOSTS = 1_000
const BURST = 50
const TRUST_DOMAIN = 'example.org'
/** Hosts that fail one after the other from their PCR on. */
const WHOLE_WAYS = 30
/** The verifier's time between two quotes, and from a quote to the bell and to the record, as on the tower. */
const QUOTE_EVERY_MS = 2_000
const QUOTE_MS = 100
const RECORD_MS = 100
const FAILED = { operational_state: 9, last_event_id: 'pcr_validation.invalid_pcr_7' }

/**
 * Measures.
 *
 * @param failures How many hosts fail one after the other.
 */
export async function measureScale(failures: number, tell: (text: string) => void): Promise<ScaleResult> {
  const dir = mkdtempSync(join(tmpdir(), 'keep-scale-'))
  const processes = new Processes(dir, dir)
  const parts = await prepareParts(process.stderr)
  const keylime = await startFakeKeylime({ nodes: HOSTS, ak: 'ec-p256', paced: true })
  try {
    const spire = await SpireServer.configure(processes, {
      dir: join(dir, 'spire'),
      binDir: parts.spireBin,
      port: await freePorts(),
      trustDomain: TRUST_DOMAIN,
      plugin: { command: parts.serverPlugin, data: dataOf(keylime.serverHcl()) },
      more: { log_level: 'WARN' },
    })
    await spire.start()
    const connection = new SpireConnection({ socketPath: spire.socketPath })
    await attestAll(spire.socketPath, keylime, tell)
    const bell = await startDaemon(processes, dir, keylime, spire.socketPath)
    tell('the daemon watches')
    const ids = keylime.nodes.map(({ agentId }) => agentId)
    const singleMs: number[] = []
    const load = new LoadWatch()
    load.look()
    for (const agentId of ids.slice(0, failures)) {
      // Not always at the same moment between two rounds.
      await delay(Math.random() * 200)
      singleMs.push(...(await failAndTime(keylime, connection, bell, [agentId])))
    }
    const burstMs = await failAndTime(keylime, connection, bell, ids.slice(failures, failures + BURST))
    tell('one after the other, and at once')
    const late = keylime.nodes.slice(failures + BURST, failures + BURST + WHOLE_WAYS)
    const endToEndMs = await wholeWays(keylime, spire.socketPath, bell, late)
    load.look()
    const rssMb = Math.round(
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${bell.pid}/status`, 'utf8'))?.[1]) / 1024,
    )
    connection.close()
    // The real verifier's own time for a row of a bulk answer, every five seconds.
    const pollPercent = Math.round(((HOSTS * 0.4) / 5_000) * 1000) / 10
    return {
      hosts: HOSTS,
      spire: /spire-([\d.]+)/.exec(parts.spireBin)?.[1] ?? '?',
      singleMs,
      burstMs,
      endToEndMs,
      rssMb,
      pollPercent,
      load: load.load,
    }
  } finally {
    await processes.stopAll()
    await keylime.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function attestAll(socketPath: string, { nodes }: FakeKeylime, tell: (text: string) => void): Promise<void> {
  const client = await openSpireClient(socketPath)
  const queue = [...nodes]
  const worker = async (): Promise<void> => {
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) await client.attest(node)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  client.close()
  tell(`${nodes.length} agents attested`)
}

interface RunningBell {
  readonly port: number
  readonly pid: number
  readonly certificate: IssuedCertificate
  readonly ca: string
}

async function startDaemon(
  processes: Processes,
  dir: string,
  keylime: FakeKeylime,
  socketPath: string,
): Promise<RunningBell> {
  const port = await freePorts(2)
  const pair = keylime.pki.writePair('keep', await keylime.ca.issue('towerkeep'))
  const certificate = await keylime.ca.issue('the-verifier')
  const config = join(dir, 'towerkeep.hcl')
  const { verifier, registrar, caFile } = keylime
  writeFileSync(
    config,
    `spire_sockets = ["${socketPath}"]
trust_domain = "${TRUST_DOMAIN}"
keylime_verifiers = ["${verifier.host}:${verifier.port}"]
keylime_registrars = ["${registrar.host}:${registrar.port}"]
keylime_ca_file = "${caFile}"
keylime_cert_file = "${pair.certFile}"
keylime_key_file = "${pair.keyFile}"
watch {
  mode = "ban"
  bell_address = "127.0.0.1:${port}"
  bell_cert_file = "${pair.certFile}"
  bell_key_file = "${pair.keyFile}"
  verifier_names = ["the-verifier"]
  http_address = "127.0.0.1:${port + 1}"
  read_socket = "${dir}/run/read.sock"
  admin_socket = "${dir}/run/admin.sock"
  audit_file = "${dir}/audit.jsonl"
}
`,
  )
  const daemon = processes.start({
    name: 'towerkeep',
    command: towerkeepProgram(),
    args: ['watch', '--config', config],
  })
  for (let tries = 0; !daemon.readLog().includes('all is watched'); tries += 1) {
    if (tries > 1_200) throw new Error('towerkeep does not watch')
    daemon.requireRunning()
    await delay(100)
  }
  return { port, pid: daemon.pid, certificate, ca: keylime.ca.pem }
}

/** Fails hosts, rings for each, and times each ban by the server's own list. */
async function failAndTime(
  { verifier }: FakeKeylime,
  connection: SpireConnection,
  bell: RunningBell,
  ids: readonly string[],
): Promise<readonly number[]> {
  for (const agentId of ids) verifier.set(agentId, FAILED)
  const began = performance.now()
  const waiting = new Set(ids)
  const times: number[] = []
  await Promise.all(ids.map((agentId) => ring(bell, agentId)))
  while (waiting.size > 0) {
    for (const { id } of await listAgents(connection, { banned: true })) {
      if (waiting.delete(id.slice(id.lastIndexOf('/') + 1))) times.push(performance.now() - began)
    }
    if (performance.now() - began > 60_000) throw new Error(`${waiting.size} hosts are not banned within a minute`)
    await delay(5)
  }
  return times
}

/**
 * Fails hosts from their PCR on: the next quote comes within two seconds, the verifier rings, and writes its record. A host
 * counts as cut off when the server refuses to attest it. Meanwhile the datastore is read as often as by all agents' syncs.
 */
async function wholeWays(
  { verifier, nodes: all }: FakeKeylime,
  socketPath: string,
  bell: RunningBell,
  nodes: FakeKeylime['nodes'],
): Promise<readonly number[]> {
  const times: number[] = []
  const client = await openSpireClient(socketPath)
  const connection = new SpireConnection({ socketPath })
  const ended = new AbortController()
  const syncing = syncs(
    connection,
    all.map(({ agentId }) => idOf(agentId)),
    ended.signal,
  )
  for (const node of nodes) {
    const began = performance.now()
    await delay(Math.random() * QUOTE_EVERY_MS + QUOTE_MS)
    await Promise.all([ring(bell, node.agentId), delay(RECORD_MS).then(() => verifier.set(node.agentId, FAILED))])
    while ((await getAgent(connection, idOf(node.agentId)))?.banned !== true) {
      if (performance.now() - began > 60_000) throw new Error(`${node.agentId} is not banned within a minute`)
      await delay(5)
    }
    times.push(performance.now() - began)
    const refusal = await client.attest(node).then(
      () => 'admitted',
      (error: unknown) => String(error),
    )
    if (!refusal.includes('PERMISSION_DENIED')) throw new Error(`a banned agent was not refused: ${refusal}`)
  }
  ended.abort()
  await syncing
  client.close()
  connection.close()
  return times
}

function idOf(agentId: string): string {
  return `spiffe://${TRUST_DOMAIN}/spire/agent/keylime/${agentId}`
}

/** Reads each agent once a second, spread evenly, as the syncs of all agents have the server do. */
async function syncs(connection: SpireConnection, ids: readonly string[], signal: AbortSignal): Promise<void> {
  const slices = 50
  const size = Math.ceil(ids.length / slices)
  for (let slice = 0; !signal.aborted; slice = (slice + 1) % slices) {
    const began = performance.now()
    await Promise.all(ids.slice(slice * size, (slice + 1) * size).map((id) => getAgent(connection, id)))
    await delay(Math.max(0, 1_000 / slices - (performance.now() - began)))
  }
}

const agent = new Agent({ keepAlive: true })

function ring({ port, certificate, ca }: RunningBell, agentId: string): Promise<void> {
  const body = JSON.stringify({ msg: JSON.stringify({ type: 'revocation', agent_id: agentId }) })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const options = {
    host: '127.0.0.1',
    port,
    path: '/keylime',
    method: 'POST',
    agent,
    ca,
    cert: certificate.pem,
    key: certificate.keyPem(),
  }
  request(options, (answer) => {
    answer.resume()
    answer.on('end', () => resolve())
  })
    .on('error', reject)
    .end(body)
  return promise
}

function dataOf(hcl: string): ConfObject {
  return Object.fromEntries(
    parseHcl(hcl).entries.map(({ key, value }) => [
      key.text,
      value.kind === 'string' ? value.value : value.kind === 'number' ? value.text : '',
    ]),
  )
}
