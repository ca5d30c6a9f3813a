import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { attestOnce, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const PERMISSION_DENIED = 7
const knowing = (word: string) => (nonce: Uint8Array) => createHmac('sha256', word).update(nonce).digest()

test('admits a node that knows the word, and no other', async () => {
  await using served = await serveForTest(plugin, { hcl: 'word = "sesame"' })
  const payload = Buffer.from('node-1')
  assert.deepEqual(await attestOnce(served, { payload, answer: knowing('sesame') }), {
    spiffeId: 'spiffe://example.org/spire/agent/shared_word/node-1',
    selectorValues: ['id:node-1'],
    canReattest: true,
  })
  await assert.rejects(attestOnce(served, { payload, answer: knowing('barley') }), { code: PERMISSION_DENIED })
})

test('refuses to be configured without a word', async () => {
  await assert.rejects(serveForTest(plugin, { hcl: '' }), { details: /word/ })
})
