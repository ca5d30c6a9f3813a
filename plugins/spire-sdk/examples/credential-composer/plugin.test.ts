import assert from 'node:assert/strict'
import { test } from 'node:test'
import { driveCredentialComposer, serveForTest } from '@tower-of-omens/spire-sdk/testing'
import { plugin } from './plugin.ts'

const spiffeId = 'spiffe://example.org/ns/web'
const attributes = { subject: undefined, dnsSans: ['kept'], extraExtensions: [] }

test('adds to what workloads get, and leaves the rest as it is', async () => {
  await using served = await serveForTest(plugin, { hcl: 'environment = "test"\ndns_suffix = "example.org"' })
  const composer = driveCredentialComposer(served)
  assert.deepEqual(await composer.workloadJwtSvid({ claims: { sub: spiffeId } }, spiffeId), {
    claims: { sub: spiffeId, env: 'test' },
  })
  const subject = { spiffeId, publicKey: Buffer.from('SPKI') }
  assert.deepEqual((await composer.workloadX509Svid(attributes, subject)).dnsSans, ['kept', 'web.example.org'])
  assert.equal(await composer.agentX509Svid(attributes, subject), attributes)
})
