import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { driveUpstreamAuthority, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl on this machine'
const folder = mkdtempSync(join(tmpdir(), 'authority-'))
after(() => rmSync(folder, { recursive: true }))

test('signs a CA for the trust domain of the request', { skip }, async () => {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', 'root.key', '-out', 'root.pem', '-subj', '/CN=root', '-days', '2')
  const asked = ['-addext', 'subjectAltName=URI:spiffe://example.org', '-outform', 'DER', '-out', 'csr']
  openssl('req', '-new', ...key, '-keyout', 'ca.key', '-subj', '/O=SPIFFE', ...asked)

  const hcl = `cert_file = "${folder}/root.pem"\nkey_file = "${folder}/root.key"`
  await using served = await serveForTest(plugin, { hcl })
  const csr = readFileSync(join(folder, 'csr'))
  for await (const minted of driveUpstreamAuthority(served).mintX509Ca({ csr, preferredTtlSeconds: 3600 })) {
    const ca = new X509Certificate(minted.x509CaChain[0]?.asn1 ?? '')
    const root = new X509Certificate(minted.upstreamX509Roots[0]?.asn1 ?? '')
    assert.equal(ca.subjectAltName, 'URI:spiffe://example.org')
    assert.ok(ca.ca && ca.verify(root.publicKey))
    break
  }
})
