import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { aidAttestation, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

test('names the node and answers the challenge', async () => {
  await using served = await serveForTest(plugin, { hcl: 'id = "node-1"\nword = "sesame"' })
  const nonce = Buffer.from('any bytes')
  const { payload, responses } = await aidAttestation(served, { next: (_message, index) => [nonce][index] })
  assert.equal(Buffer.from(payload).toString(), 'node-1')
  assert.deepEqual(responses, [createHmac('sha256', 'sesame').update(nonce).digest()])
})
