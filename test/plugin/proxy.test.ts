import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { answerWith } from '../fakes/faults.ts'
import type { IssuedCertificate, TestCa } from '../fakes/pki.ts'
import { type Outcome } from './half-process.ts'
import { hasNginx, type Nginx, startNginx } from './nginx.ts'
import { ServerPlugin } from './server-plugin.ts'

const VERIFIER = 'verifier.keylime.example'
const REGISTRAR = 'registrar.keylime.example'

let keylime: FakeKeylime
let proxyCa: TestCa
let front: IssuedCertificate
const files: Record<string, string> = {}

/** Writes the two virtual hosts; `upstream` replaces how they pass on. */
function hosts(
  port: number,
  more: { readonly verify?: string; readonly backend?: string; readonly registrar?: string } = {},
): string {
  const backend =
    more.backend ?? `proxy_ssl_certificate ${keylime.certFile}; proxy_ssl_certificate_key ${keylime.keyFile};`
  const host = (name: string, upstream: string): string => `
    server {
      listen 127.0.0.1:${port} ssl;
      server_name ${name};
      ssl_certificate ${files['frontCert']};
      ssl_certificate_key ${files['frontKey']};
      ssl_client_certificate ${files['proxyCa']};
      ${more.verify ?? 'ssl_verify_client on; ssl_verify_depth 3;'}
      keepalive_requests 7;
      location / { proxy_pass ${upstream}; ${backend} proxy_read_timeout 1s; }
    }`
  const registrar = more.registrar ?? `https://127.0.0.1:${keylime.registrar.port}`
  return host(VERIFIER, `https://127.0.0.1:${keylime.verifier.port}`) + host(REGISTRAR, registrar)
}

function hclFor(proxy: Nginx, more: Record<string, string | number> = {}): string {
  return keylime.serverHcl({
    keylime_verifier_port: proxy.port,
    keylime_verifier_server_name: VERIFIER,
    keylime_registrar_port: proxy.port,
    keylime_registrar_server_name: REGISTRAR,
    keylime_tls_ca_cert_file: files['proxyCa'] ?? '',
    keylime_tls_cert_file: files['clientCert'] ?? '',
    keylime_tls_key_file: files['clientKey'] ?? '',
    ...more,
  })
}

/** Attests once through a proxy, and gives the outcome with what the log says of it. */
async function attest(
  servers: (port: number) => string,
  more: Record<string, string | number> = {},
): Promise<Outcome & { readonly log: string }> {
  await using proxy = await startNginx(servers)
  await using plugin = await ServerPlugin.start({ hcl: hclFor(proxy, more) })
  const outcome = await plugin.attest(keylime.node())
  return {
    ...outcome,
    log: plugin
      .logs()
      .map((line) => JSON.stringify(line))
      .join('\n'),
  }
}

describe.skipIf(!hasNginx)('behind nginx with client certificates on one port (needs nginx)', () => {
  beforeAll(async () => {
    keylime = await startFakeKeylime()
    const { pki } = keylime
    proxyCa = await pki.root('Eye of Thundera')
    const book = await proxyCa.intermediate('Book of Omens')
    front = await book.issue('proxy', { dns: [VERIFIER, REGISTRAR], ip: [] })
    const pair = pki.writePair('front', front)
    const client = pki.writePair('proxied-client', await book.issue('spire'))
    const stranger = pki.writePair('stranger', await (await pki.root('Stranger')).issue('spire'))
    Object.assign(files, {
      frontCert: pair.certFile,
      frontKey: pair.keyFile,
      proxyCa: pki.write('proxy-ca.crt', proxyCa.pem),
      clientCert: client.certFile,
      clientKey: client.keyFile,
      strangerCert: stranger.certFile,
      strangerKey: stranger.keyFile,
    })
  })
  afterAll(() => keylime.close())

  it('admits a node, found by the names of the two virtual hosts [T11]', async () => {
    expect(await attest((port) => hosts(port))).toMatchObject({ status: 'OK' })
  })

  it('goes on admitting while nginx is reloaded and closes its idle connections [T11] [T24]', async () => {
    await using proxy = await startNginx((port) => hosts(port))
    await using plugin = await ServerPlugin.start({ hcl: hclFor(proxy, { verifier_opinion_ttl: '0s' }) })
    const outcomes: Outcome[] = []
    for (let reloads = 0; reloads < 5; reloads += 1) {
      const running = Array.from({ length: 20 }, () => plugin.attest(keylime.node()))
      await proxy.reload()
      outcomes.push(...(await Promise.all(running)))
    }
    expect(outcomes.filter(({ status }) => status !== 'OK')).toEqual([])
    expect(outcomes).toHaveLength(100)
  })

  it('says that the proxy does not accept our certificate, and names it', async () => {
    const { status, message, log } = await attest((port) => hosts(port), {
      keylime_tls_cert_file: files['strangerCert'] ?? '',
      keylime_tls_key_file: files['strangerKey'] ?? '',
    })
    expect(status).toBe('INTERNAL')
    expect(`${message}\n${log}`).toContain('has a proxy in front (nginx) that does not accept our client certificate')
    expect(`${message}\n${log}`).toContain('CN=spire (issued by CN=Stranger')
  })

  it('says that a chain is longer than the depth nginx allows', async () => {
    const { status, message, log } = await attest((port) =>
      hosts(port, { verify: 'ssl_verify_client on; ssl_verify_depth 0;' }),
    )
    expect(status).toBe('INTERNAL')
    expect(`${message}\n${log}`).toContain('the chain is longer than ssl_verify_depth')
  })

  it('says that Keylime sees the certificate of the proxy when that proxy presents none', async () => {
    const { status, message, log } = await attest((port) => hosts(port, { backend: '' }))
    expect(status).toBe('INTERNAL')
    expect(`${message}\n${log}`).toContain(
      'Keylime sees the certificate that proxy presents (proxy_ssl_certificate), not ours',
    )
  })

  it('says that the verifier behind the proxy is away [T93]', async () => {
    await keylime.verifier.pause()
    const { status, message, log } = await attest((port) => hosts(port))
    await keylime.verifier.resume()
    expect(status).toBe('UNAVAILABLE')
    expect(`${message}\n${log}`).toMatch(
      /answers 502 with a page .*502 Bad Gateway.* from nginx\/.*: the service behind that proxy is away or too slow/,
    )
  })

  it('says that the verifier behind the proxy is too slow [T93]', async () => {
    keylime.verifier.fail('agent', { kind: 'hang' })
    const { status, message, log } = await attest((port) => hosts(port))
    keylime.verifier.clearFaults()
    expect(status).toBe('UNAVAILABLE')
    expect(`${message}\n${log}`).toMatch(/answers 504 with a page .*504 Gateway Time-out/)
  })

  it("says that the proxy passes on to the registrar's plain HTTP port", async () => {
    keylime.registrar.fail('*', answerWith(400))
    const { status, message, log } = await attest((port) => hosts(port))
    keylime.registrar.clearFaults()
    expect(status).toBe('INTERNAL')
    expect(`${message}\n${log}`).toContain(
      'its plain HTTP port (8890) answers so: a proxy must pass on to the TLS port (8891)',
    )
  })

  it('names the names the proxy has a certificate for [P33] [T25]', async () => {
    const { status, message, log } = await attest((port) => hosts(port), {
      keylime_registrar_server_name: 'registrar.example',
    })
    expect(status).toBe('INTERNAL')
    expect(`${message}\n${log}`).toContain(
      `presents a certificate for DNS:${VERIFIER}, DNS:${REGISTRAR}; expected registrar.example; set keylime_registrar_server_name`,
    )
  })
})
