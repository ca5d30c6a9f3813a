import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KeylimeAgentClient } from '../../plugins/keylime/api/keylime-agent-client.ts'
import { RegistrarClient } from '../../plugins/keylime/api/registrar-client.ts'
import { VerifierClient } from '../../plugins/keylime/api/verifier-client.ts'
import { KeylimeError } from '../../plugins/keylime/basis/errors.ts'
import { parseAgentId } from '../../plugins/keylime/basis/ids.ts'
import { HttpsOrigin, type HttpsOriginOptions } from '../../plugins/keylime/https/http.ts'
import type { TlsFiles } from '../../plugins/keylime/tls-files/file-names.ts'
import { loadTlsFiles } from '../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../plugins/keylime/tls-files/tls-watch.ts'
import { newTestPki } from '../fakes/pki.ts'
import { prepareForeignParts } from '../lab/parts/prepare.ts'
import { Processes } from '../lab/processes/processes.ts'
import { Keylime } from '../lab/services/keylime.ts'
import { KeylimeAgent } from '../lab/services/keylime-agent.ts'
import { Swtpm } from '../lab/services/swtpm.ts'

// A real verifier and registrar without nodes: what they say to callers they know, and to those they do not.
let keylime: Keylime
let dir: string
let processes: Processes
let own: { readonly caFile: string; readonly certFile: string; readonly keyFile: string }
const pki = newTestPki()
const nobody = parseAgentId('nobody')

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tower-tls-'))
  mkdirSync(join(dir, 'logs'))
  processes = new Processes(dir, join(dir, 'logs'))
  const { keylimeBin } = await prepareForeignParts(process.stdout)
  keylime = await Keylime.startWithOwnCa(processes, { dir, binDir: keylimeBin })
  own = {
    caFile: join(keylime.certDir, 'cacert.crt'),
    certFile: join(keylime.certDir, 'client-cert.crt'),
    keyFile: join(keylime.certDir, 'client-private.pem'),
  }
})
afterAll(async () => {
  await processes.stopAll()
  rmSync(dir, { recursive: true, force: true })
  pki.remove()
})

async function withOrigin<T>(
  options: Partial<HttpsOriginOptions> & { readonly files?: TlsFiles },
  use: (origin: HttpsOrigin) => Promise<T>,
): Promise<T> {
  const { files, ...rest } = options
  const { material, problems } = loadTlsFiles(files ?? {})
  if (files !== undefined && material === undefined) throw new Error(problems.join('; '))
  const origin = new HttpsOrigin({
    role: 'keylime verifier',
    host: '127.0.0.1',
    port: keylime.ports.verifier,
    timeoutMs: 10_000,
    ...(files !== undefined && material !== undefined && { tls: fixedTls(material) }),
    ...rest,
  })
  try {
    return await use(origin)
  } finally {
    await origin.close()
  }
}

/** Gives code and message of a call that must fail. */
async function failure(call: () => Promise<unknown>): Promise<string> {
  try {
    await call()
  } catch (error) {
    if (error instanceof KeylimeError) return `${error.code}: ${error.message}`
    throw error
  }
  throw new Error('expected a failure')
}

/** Asks for an agent nobody knows, and gives code and message of the failure. */
async function refusal(
  options: Partial<HttpsOriginOptions> & { readonly files?: TlsFiles },
  client: typeof VerifierClient | typeof RegistrarClient = VerifierClient,
): Promise<string> {
  return await withOrigin(options, (origin) => failure(() => new client(origin).getAgent(nobody)))
}

describe('a real Keylime', () => {
  it('answers a caller with a certificate of its CA, on both services', async () => {
    await withOrigin({ files: own }, async (origin) => {
      const client = new VerifierClient(origin)
      expect(await client.getAgentIds()).toEqual([])
      expect((await client.getAgents()).size).toBe(0)
    })
    expect(await refusal({ files: own })).toMatch(
      /^KEYLIME_AGENT_UNKNOWN: .*does not know agent nobody \("agent id not found"\)/,
    )
    const registrar = { files: own, role: 'keylime registrar', port: keylime.ports.registrarTls }
    expect(await refusal(registrar, RegistrarClient)).toMatch(
      /^KEYLIME_AGENT_UNKNOWN: .*\("Agent with ID 'nobody' not found"\)/,
    )
  })

  it('takes a caller without certificate for anonymous', async () => {
    expect(await refusal({ files: { caFile: own.caFile } })).toMatch(
      /^KEYLIME_CLIENT_REFUSED: .*refuses us with 403 \("Action read_agent requires authentication"\).*sent was no client certificate/,
    )
  })

  it('does not trust the issuer of a certificate of another CA, and we name it [P07]', async () => {
    const stranger = pki.writePair('stranger', await (await pki.root('Stranger CA')).issue('spire'))
    for (const port of [keylime.ports.verifier, keylime.ports.registrarTls]) {
      expect(await refusal({ files: { caFile: own.caFile, ...stranger }, port })).toMatch(
        /^KEYLIME_CLIENT_REFUSED: .*closed the connection after our certificate: it does not trust its issuer; sent was our client certificate CN=spire \(issued by CN=Stranger CA/,
      )
    }
  })

  it('is refused when its CA is not ours, and when it is asked under another name [P12] [T25]', async () => {
    const caFile = pki.write('other.crt', (await pki.root('Other CA')).pem)
    expect(await refusal({ files: { ...own, caFile } })).toMatch(
      /^KEYLIME_PEER_UNTRUSTED: .*presents a chain up to the root .*CN=Keylime Certificate Authority, C=US \(SHA-256 [0-9a-f]{16}\), which is not in CA file/,
    )
    expect(await refusal({ files: own, serverName: 'verifier.example' })).toMatch(
      /^KEYLIME_PEER_UNTRUSTED: .*presents a certificate for .*DNS:localhost.*; expected verifier\.example/,
    )
  })

  it('has a registrar port without TLS, which is not the one we need', async () => {
    const role = 'keylime registrar'
    // It waits for the end of a request and takes our TLS greeting for its beginning.
    expect(
      await refusal({ role, port: keylime.ports.registrar, files: own, timeoutMs: 1_000 }, RegistrarClient),
    ).toMatch(
      /^KEYLIME_TIMEOUT: .*the TLS handshake was not done; .*look at the MTU.*, and a port that serves plain HTTP: .*a registrar serves plain HTTP on 8890 and TLS on 8891/,
    )
    expect(await refusal({ role, port: keylime.ports.registrar }, RegistrarClient)).toMatch(
      /^KEYLIME_BAD_RESPONSE: .*its plain HTTP port \(8890\) answers so/,
    )
  })

  it('answers again after a restart, without a new client', async () => {
    await withOrigin({ files: own }, async (origin) => {
      const client = new VerifierClient(origin)
      expect(await client.getAgentIds()).toEqual([])
      await keylime.stop('verifier')
      await expect(client.getAgentIds()).rejects.toThrow('refused the connection: nothing listens there')
      await keylime.start('verifier')
      expect(await client.getAgentIds()).toEqual([])
    })
  })
})

const realAgent = process.env.KEYLIME_AGENT
const info = (origin: HttpsOrigin): Promise<string> => failure(() => new KeylimeAgentClient(origin).getInfo())

describe.skipIf(!realAgent)('a real Keylime agent (skipped unless KEYLIME_AGENT names one)', () => {
  let agent: KeylimeAgent
  let plugin: { readonly certFile: string; readonly keyFile: string }

  beforeAll(async () => {
    plugin = pki.writePair('plugin', await pki.selfSigned('spire-agent', { eku: ['clientAuth'] }))
    const tpm = await Swtpm.start(processes, { dir: join(dir, 'tpm') })
    agent = await KeylimeAgent.start(processes, {
      dir: join(dir, 'agent'),
      tpm,
      registrar: { host: '127.0.0.1', port: keylime.ports.registrar },
      realAgent,
      clientCaFiles: [own.caFile, plugin.certFile],
    })
  })
  afterAll(() => agent.stop())

  const asking = (files: Omit<TlsFiles, 'caFile'>, caFile = agent.certFile): Parameters<typeof withOrigin>[0] => ({
    role: 'keylime agent',
    port: agent.port,
    files: { caFile, ...files },
  })

  it('says who it is and quotes, to the one certificate it trusts', async () => {
    await withOrigin(asking(plugin), async (origin) => {
      const client = new KeylimeAgentClient(origin)
      expect(await client.getInfo()).toEqual({ agentId: agent.agentId(), hashAlg: 'sha256' })
      const quote = await client.getIdentityQuote('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')
      expect(quote).toMatchObject({ hashAlg: 'sha256', pubkey: expect.stringContaining('BEGIN PUBLIC KEY') as string })
      expect(await failure(() => client.getIdentityQuote('not alphanumeric'))).toMatch(
        /^KEYLIME_BAD_RESPONSE: .*\(nonce\)/,
      )
    })
  })

  it('does not serve a caller without certificate, nor one of another CA, and we say which [P09]', async () => {
    expect(await withOrigin(asking({}), info)).toMatch(
      /^KEYLIME_CLIENT_REFUSED: .*demands a client certificate, and none is configured/,
    )
    const stranger = pki.writePair('agent-stranger', await pki.selfSigned('stranger'))
    expect(await withOrigin(asking(stranger), info)).toMatch(
      /^KEYLIME_CLIENT_REFUSED: .*closed the connection after our certificate: .*sent was our client certificate CN=stranger \(issued by CN=stranger/,
    )
    expect(await withOrigin(asking(plugin, own.caFile), info)).toMatch(
      /^KEYLIME_PEER_UNTRUSTED: .*presents a self-signed certificate/,
    )
  })

  it('gets a hint when it is spoken to without TLS [P07]', async () => {
    const settings = { useTls: 'keylime_agent_use_tls' }
    const plain = { role: 'keylime agent', port: agent.port, settings }
    const said = await withOrigin(plain, info)
    expect(said).toContain('set keylime_agent_use_tls = true')
  })
})
