/**
 * A real OpenBao lets workloads in by JWT-SVIDs whose keys the keeper has brought.
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KEEPER_PLUGIN } from '../../../bundle-publisher-keeper/plugin.ts'
import { driveBundlePublisher, serveForTest, testBundle } from '../../../plugins/spire-sdk/testing/index.ts'
import { BaoDevServer } from './dev-server.ts'

let bao: BaoDevServer

beforeAll(async () => {
  bao = await BaoDevServer.start()
  await bao.must('POST', 'sys/auth/jwt', { type: 'jwt' })
  const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['openbao'], token_policies: ['default'] }
  await bao.must('POST', 'auth/jwt/role/workload', role)
}, 600_000)

afterAll(() => bao.stop())

interface Authority {
  readonly keyId: string
  readonly privateKey: KeyObject
  readonly publicKey: Buffer
}

function authority(keyId: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { keyId, privateKey, publicKey: publicKey.export({ type: 'spki', format: 'der' }) }
}

/** Signs what SPIRE would sign for a workload. */
function jwtSvid({ keyId, privateKey }: Authority): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { sub: 'spiffe://example.org/web', aud: ['openbao'], iat: now, exp: now + 300 }
  const signed = `${part({ alg: 'ES256', kid: keyId, typ: 'JWT' })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

async function login(by: Authority): Promise<number> {
  return (await bao.ask('POST', 'auth/jwt/login', { role: 'workload', jwt: jwtSvid(by) }, '')).status
}

describe('OpenBao', () => {
  it('accepts a JWT-SVID of the new key as soon as the bundle has it, and none of a tainted one [keeper:openbao:rotation]', async () => {
    const token = join(bao.folder, 'token')
    writeFileSync(token, bao.token)
    const hcl = `openbao_address = "${bao.address}"\nopenbao_token_file = "${token}"`
    await using served = await serveForTest(KEEPER_PLUGIN, { hcl })
    const { publishBundle } = driveBundlePublisher(served)
    const [old, fresh] = [authority('old'), authority('new')]
    const publish = (sequenceNumber: bigint, ...keys: (Authority & { tainted?: boolean })[]): Promise<void> => {
      const jwtAuthorities = keys.map(({ keyId, publicKey, tainted = false }) => ({
        keyId,
        publicKey,
        tainted,
        expiresAt: 0n,
      }))
      return publishBundle(testBundle({ sequenceNumber, jwtAuthorities }))
    }
    await publish(1n, old)
    expect([await login(old), await login(fresh)]).toEqual([200, 400])
    await publish(2n, old, fresh)
    expect([await login(old), await login(fresh)]).toEqual([200, 200])
    await publish(3n, { ...old, tainted: true }, fresh)
    expect([await login(old), await login(fresh)]).toEqual([400, 200])
  })
})
