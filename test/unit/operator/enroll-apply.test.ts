import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { applySteps } from '../../../operator/enroll/apply-steps.ts'
import { OperatorError } from '../../../operator/operator-error.ts'
import { type FakeOpenBao, startFakeOpenBao } from '../../fakes/fake-openbao.ts'
import { newTestPki, type TestPki } from '../../fakes/pki.ts'

let root: string
let pki: TestPki
let bao: FakeOpenBao
const at = (path: string): string => join(root, path)
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'enroll-'))
  pki = newTestPki()
  const ca = await pki.root('Root')
  bao = await startFakeOpenBao(ca, ca.pem)
  mkdirSync(at('etc/towerkeep/certs.d'), { recursive: true })
  writeFileSync(at('ca.crt'), ca.pem)
  const lines = {
    cert_file: at('agent.crt'),
    key_file: at('agent.key'),
    common_name: 'web7',
    address: bao.address,
    ca_file: at('ca.crt'),
    role: 'agents',
    approle_role_id_file: at('etc/towerkeep/role-id'),
    approle_secret_id_file: at('etc/towerkeep/secret-id'),
  }
  const text = Object.entries(lines).map(([key, value]) => `${key} = "${value}"`)
  writeFileSync(at('etc/towerkeep/certs.d/agent.hcl'), text.join('\n'))
})
afterEach(async () => {
  await bao.close()
  pki.remove()
  rmSync(root, { recursive: true, force: true })
})

describe('enroll apply', () => {
  it('does not use a wrapped secret-id up when there is no role-id to log in with', async () => {
    const applying = {
      from: root,
      root,
      wrappedSecretId: 'hvs.wrapped',
      start: false,
      timeoutMs: 3_000,
      say: () => undefined,
    }
    const credential = applySteps(applying, new Map()).find(({ id }) => id === 'credential')
    const refused = await credential?.act(AbortSignal.timeout(5_000)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(OperatorError)
    expect(refused).toMatchObject({
      exit: 64,
      message: `${at('etc/towerkeep/role-id')} is not there: give --role-id beside --wrapped-secret-id`,
    })
    expect([bao.seen, existsSync(at('etc/towerkeep/secret-id'))]).toEqual([[], false])
  })

  it('keeps the secret-id that it unwrapped, and says what to do when another has used it', async () => {
    bao.wrapped.add('hvs.wrapped')
    const applying = {
      from: root,
      root,
      roleId: bao.roleId,
      wrappedSecretId: 'hvs.wrapped',
      start: false,
      timeoutMs: 3_000,
      say: () => undefined,
    }
    const credential = applySteps(applying, new Map()).find(({ id }) => id === 'credential')
    await credential?.act(AbortSignal.timeout(5_000))
    expect(await credential?.isDone?.(AbortSignal.timeout(5_000))).toBe(true)
    expect(readFileSync(at('etc/towerkeep/secret-id'), 'utf8')).toBe(`${bao.secretId}\n`)
    rmSync(at('etc/towerkeep/secret-id'))
    const refused = await credential?.act(AbortSignal.timeout(5_000)).catch((error: unknown) => error)
    expect(refused).toMatchObject({
      code: 'TK-PKI-DENIED',
      exit: 75,
      message: expect.stringContaining('has been used or has ended; have another printed by') as string,
    })
    expect(existsSync(at('etc/towerkeep/secret-id'))).toBe(false)
  })
})
