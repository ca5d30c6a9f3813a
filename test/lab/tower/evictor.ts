/**
 * Cuts a host off as soon as Keylime fails it: takes the verifier's webhook, reads the record again, and evicts.
 *
 * Only the verifier may call it: its client certificate is required, and its name is checked. What the call says is not
 * believed; the verifier's record decides. A process of its own on host `spire`: node evictor.ts CONFIGURATION
 *
 * @module
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import * as v from 'valibot'

/** The configuration file, JSON. */
export interface EvictorConfig {
  readonly port: number
  /** Own certificate for serving, and for asking the verifier. */
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
  /** Name in the certificate of whoever may call, and of whoever is asked. */
  readonly verifierName: string
  readonly verifierPort: number
  readonly trustDomain: string
  /** Program and admin socket of the SPIRE server. */
  readonly spireServer: string
  readonly spireSocket: string
}

const MAX_BODY = 1_048_576

/** States in which the verifier has given a host up: failed, invalid quote, stopped. */
const GIVEN_UP: ReadonlySet<number> = new Set([7, 9, 10])

const Call = v.object({ msg: v.string() })
const Message = v.object({ agent_id: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]{1,128}$/)) })
const Answer = v.object({ results: v.object({ operational_state: v.number() }) })

const run = promisify(execFile)
const config = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as EvictorConfig
const tls = { cert: readFileSync(config.certFile), key: readFileSync(config.keyFile), ca: readFileSync(config.caFile) }

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}

/** Reads a whole text, up to a limit. */
async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) throw new Error('the message is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

async function stateOf(agentId: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const options = { ...tls, host: config.verifierName, port: config.verifierPort, path: `/v2.6/agents/${agentId}` }
  request({ ...options, timeout: 5_000 }, resolve)
    .on('error', reject)
    .end()
  return v.parse(Answer, JSON.parse(await textOf(await promise))).results.operational_state
}

async function evict(agentId: string): Promise<void> {
  const state = await stateOf(agentId)
  if (!GIVEN_UP.has(state)) return log(`${agentId}: state ${state}, nothing to do`)
  const id = `spiffe://${config.trustDomain}/spire/agent/keylime/${agentId}`
  const words = ['agent', 'evict', '-spiffeID', id, '-socketPath', config.spireSocket]
  await run(config.spireServer, words, { timeout: 10_000 })
  log(`${agentId}: state ${state}, evicted`)
}

function isVerifier(incoming: IncomingMessage): boolean {
  return (
    incoming.socket instanceof TLSSocket && incoming.socket.getPeerCertificate().subject?.CN === config.verifierName
  )
}

async function take(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (!isVerifier(incoming)) return void outgoing.writeHead(403).end()
  const { msg } = v.parse(Call, JSON.parse(await textOf(incoming)))
  const { agent_id: agentId } = v.parse(Message, JSON.parse(msg))
  // The verifier is not kept waiting for what is done about it.
  outgoing.writeHead(202).end()
  await evict(agentId)
}

createServer({ ...tls, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' }, (incoming, outgoing) => {
  take(incoming, outgoing).catch((error: unknown) => {
    log(`failed: ${error instanceof Error ? error.message : String(error)}`)
    if (!outgoing.headersSent) outgoing.writeHead(400).end()
  })
}).listen(config.port, '0.0.0.0', () => log('Listening'))
