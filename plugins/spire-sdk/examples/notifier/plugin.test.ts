import assert from 'node:assert/strict'
import { test } from 'node:test'
import { driveNotifier, serveForTest, testBundle } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

test('measures the authorities of a bundle that changed', async () => {
  await using served = await serveForTest(plugin)
  const authority = { asn1: Buffer.from('DER'), tainted: false }
  await driveNotifier(served).bundleUpdated(testBundle({ x509Authorities: [authority, authority] }))
  const labels = { trust_domain: 'example.org' }
  assert.deepEqual(served.host.measurements, [
    { kind: 'gauge', name: 'bundle.x509_authorities', value: 2, labels },
    { kind: 'gauge', name: 'bundle.jwt_authorities', value: 0, labels },
  ])
})
