import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { driveAgentKeyManager, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const skip = spawnSync('openssl', ['version']).status === 0 ? false : 'no openssl on this machine'
const folder = mkdtempSync(join(tmpdir(), 'keys-'))
after(() => rmSync(folder, { recursive: true }))

test('keeps its keys when it is started again, and signs with them', { skip }, async () => {
  const hcl = `folder = "${folder}/new"`
  const first = await serveForTest(plugin, { hcl })
  const made = await driveAgentKeyManager(first).generateKey('agent-svid-A', 'EC_P256')
  await first.close()

  await using second = await serveForTest(plugin, { hcl })
  const keys = driveAgentKeyManager(second)
  assert.deepEqual(await keys.getPublicKey('agent-svid-A'), made)
  const data = createHash('sha256').update('message').digest()
  const { signature } = await keys.signData({ keyId: 'agent-svid-A', data, hash: 'SHA256' })
  const key = createPublicKey({ key: Buffer.from(made.pkixData), format: 'der', type: 'spki' })
  assert.ok(verify('sha256', Buffer.from('message'), key, signature))
  await assert.rejects(keys.signData({ keyId: 'other', data, hash: 'SHA256' }), { details: 'key "other" not found' })
})
