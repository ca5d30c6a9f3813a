import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { test } from 'node:test'
import { driveServerKeyManager, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

test('signs a digest with a key that it shows', async () => {
  await using served = await serveForTest(plugin)
  const keys = driveServerKeyManager(served)
  const made = await keys.generateKey('x509-CA-A', 'RSA_2048')
  assert.deepEqual(await keys.getPublicKeys(), [made])
  const data = createHash('sha384').update('message').digest()
  const { signature, keyFingerprint } = await keys.signData({ keyId: 'x509-CA-A', data, hash: 'SHA384' })
  assert.equal(keyFingerprint, made.fingerprint)
  const key = createPublicKey({ key: Buffer.from(made.pkixData), format: 'der', type: 'spki' })
  assert.ok(verify('sha384', Buffer.from('message'), key, signature))
})

test('says which keys it has not, and which it cannot make', async () => {
  await using served = await serveForTest(plugin)
  const keys = driveServerKeyManager(served)
  await assert.rejects(keys.getPublicKey('none'), { details: 'key "none" not found' })
  await assert.rejects(keys.generateKey('x', 'EC_P256'), { details: /ca_key_type = "rsa-2048"/ })
})
