import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { driveSvidStore, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl on this machine'
const folder = mkdtempSync(join(tmpdir(), 'svids-'))
after(() => rmSync(folder, { recursive: true }))

test('stores an identity for its owner alone, and removes it', { skip }, async () => {
  const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=web', '-keyout', '-', '-out', '-']
  const text = execFileSync('openssl', ['req', ...made], { encoding: 'utf8', stdio: 'pipe' })
  const leaf = new X509Certificate(text).raw
  const privateKey = createPrivateKey(text).export({ type: 'pkcs8', format: 'der' })
  const svid = { spiffeID: 'spiffe://example.org/web', certChain: [leaf], privateKey, bundle: [leaf], expiresAt: 0n }

  await using served = await serveForTest(plugin, { hcl: `folder = "${folder}"` })
  const store = driveSvidStore(served)
  await store.putX509Svid({ svid, metadata: ['name:web'], federatedBundles: {} })
  const file = join(folder, 'web/svid.pem')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const key = createPrivateKey(readFileSync(file))
  assert.ok(new X509Certificate(readFileSync(file)).checkPrivateKey(key))

  await store.deleteX509Svid(['name:web'])
  assert.equal(existsSync(join(folder, 'web')), false)
  await assert.rejects(store.deleteX509Svid(['name:../web']), { details: /one selector name:<folder>/ })
})
