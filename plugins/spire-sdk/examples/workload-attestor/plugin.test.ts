import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { driveWorkloadAttestor, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

test('names the process, and says of which it knows nothing', async () => {
  await using served = await serveForTest(plugin)
  const attestor = driveWorkloadAttestor(served)
  const own = readFileSync(`/proc/${process.pid}/comm`, 'utf8').trim()
  assert.deepEqual(await attestor.attest(process.pid), [`comm:${own}`])
  await assert.rejects(attestor.attest(0), { details: 'process 0 cannot be read' })
})
