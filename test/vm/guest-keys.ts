/**
 * What runs in the guest for the key manager: a real spire-server and spire-agent, whose keys are in the kernel's own
 * device. The first guest has the agent attest, renew and restart, and hands its folders out; a second guest, with another
 * TPM, finds them in its image.
 *
 * @module
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { pollUntil } from '../lab/processes/poll.ts'
import { type ConfObject, renderHcl } from '../lab/services/hcl-text.ts'
import { SITE_DOMAIN, serverSocket, tpmKeysAgentConf, tpmKeysServerConf } from '../lab/services/tpm-keys-site.ts'

const SITE = '/site'
const SERVER = join(SITE, 'server')
const AGENT = join(SITE, 'agent')
const BUNDLE = join(SITE, 'bundle.pem')
const PORT = 8081

/** An emulated processor takes its time. */
const PATIENCE = { deadlineMs: 90_000, intervalMs: 250 }

function tell(finding: string, value: unknown): void {
  process.stdout.write(`VM ${JSON.stringify({ finding, value })}\n`)
}

interface Running {
  readonly readLog: () => string
  readonly stop: () => Promise<void>
}

let started = 0

function start(program: string, conf: ConfObject, args: readonly string[] = []): Running {
  const name = `/tmp/${program}-${started++}`
  writeFileSync(`${name}.conf`, renderHcl(conf))
  const log = openSync(`${name}.log`, 'w')
  const child = spawn(`/bin/${program}`, ['run', '-config', `${name}.conf`, ...args], { stdio: ['ignore', log, log] })
  return {
    readLog: () => readFileSync(`${name}.log`, 'utf8'),
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

async function ask(...args: string[]): Promise<string> {
  return (await promisify(execFile)('/bin/spire-server', [...args, '-socketPath', serverSocket(SERVER)])).stdout
}

async function startServer(): Promise<Running> {
  mkdirSync(SERVER, { recursive: true })
  const server = start('spire-server', tpmKeysServerConf({ folder: SERVER, port: PORT }))
  await pollUntil('spire-server', async () => (await ask('healthcheck')) !== '', PATIENCE)
  writeFileSync(BUNDLE, await ask('bundle', 'show'))
  return server
}

function startAgent(args: readonly string[] = []): Running {
  mkdirSync(join(AGENT, 'data'), { recursive: true })
  const conf = tpmKeysAgentConf({
    folder: AGENT,
    serverPort: PORT,
    bundleFile: BUNDLE,
    tpmPath: '/dev/tpmrm0',
    keyManager: '/bin/key-manager-tpm',
  })
  return start('spire-agent', conf, args)
}

async function serial(): Promise<string | undefined> {
  const listed = JSON.parse(await ask('agent', 'list', '-output', 'json')) as {
    readonly agents: readonly { readonly x509svid_serial_number: string }[]
  }
  return listed.agents[0]?.x509svid_serial_number
}

/** Waits for a line of a log; when it does not come, the log's end says why. */
async function logs({ readLog }: Running, words: string): Promise<boolean> {
  try {
    await pollUntil(words, () => readLog().includes(words), PATIENCE)
    return true
  } catch {
    tell('log', readLog().slice(-2_000))
    return false
  }
}

/** The life of an agent with its keys in this TPM. */
async function live(): Promise<void> {
  const server = await startServer()
  const token = /Token: (\S+)/.exec(await ask('token', 'generate', '-spiffeID', `spiffe://${SITE_DOMAIN}/node`))?.[1]
  const first = startAgent(['-joinToken', token ?? ''])
  const attested = await pollUntil('the agent', serial, PATIENCE)
  tell('attests', true)
  const own = readdirSync(join(AGENT, 'tpm-keys'))
  tell('has wrapped keys alone', own.length > 0 && own.every((name) => name.endsWith('.tpmkey')))
  tell('keys beside the svid', readdirSync(join(AGENT, 'data')).filter((name) => name.includes('key')).length)
  await pollUntil('another SVID', async () => (await serial()) !== attested, PATIENCE)
  tell('renews', true)
  await first.stop()
  // A join token is good for one attestation: only with its old key can the agent come back.
  const second = startAgent()
  tell('restarts with its key', await logs(second, 'Successfully rotated agent SVID'))
  tell('takes its keys for its own', !second.readLog().includes('Key is of another TPM'))
  await second.stop()
  await server.stop()
  tell('folders', handOut())
}

/** Every file of the site, compressed, by its path. */
function handOut(): Readonly<Record<string, string>> {
  const files = readdirSync(SITE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(paths.map((path) => [path, gzipSync(readFileSync(path)).toString('base64')]))
}

/** The same server and the same folders, beside another TPM. */
async function copied(): Promise<void> {
  await startServer()
  tell('the server knows the agent', (await serial()) !== undefined)
  const thief = startAgent()
  tell('a copy has to attest, and cannot', await logs(thief, 'join token was not provided'))
  tell('no key of a copy is of use', thief.readLog().includes('Key is of another TPM'))
}

const work = existsSync(AGENT) ? copied() : live()
await work
  .then(() => tell('done', true))
  .catch((error: unknown) => tell('failed', String(error instanceof Error ? error.stack : error)))
process.exit(0)
