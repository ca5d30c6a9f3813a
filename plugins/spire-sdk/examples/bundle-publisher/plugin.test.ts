import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { driveBundlePublisher, serveForTest, testBundle } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
after(() => rmSync(folder, { recursive: true }))

test('writes each bundle in the format that was asked for', async () => {
  await using served = await serveForTest(plugin, { hcl: `file = "${folder}/bundle.json"\nformat = "spiffe"` })
  const publisher = driveBundlePublisher(served)
  for (const sequenceNumber of [1n, 2n]) await publisher.publishBundle(testBundle({ sequenceNumber }))
  assert.deepEqual(readdirSync(folder), ['bundle.json'])
  assert.equal(readFileSync(join(folder, 'bundle.json'), 'utf8'), '{"keys":[],"spiffe_sequence":2}')
  assert.deepEqual(
    served.logs.map(({ message, fields }) => [message, fields['sequence']]),
    [
      ['Bundle written', 1],
      ['Bundle written', 2],
    ],
  )
})

test('knows no other format', async () => {
  await assert.rejects(serveForTest(plugin, { hcl: 'file = "x"\nformat = "der"' }), { details: /format/ })
})
