import { createPublicKey } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { keyProblem } from '../../../../operator/devid/devid-files.ts'
import { newKey, signerOf } from '../../../../operator/pki/keys.ts'
import { selfSigned } from '../../../../operator/pki/requests.ts'
import { startScriptedTpm } from '../../../fakes/scripted-tpm.ts'
import { encodeTpm2bPublic } from '../../../fakes/tpm-bytes.ts'
import { towerkeep } from '../towerkeep.ts'

const AREA = { nameAlg: 'sha256', attributes: 0x00040072, template: 'ak', schemeHash: 'sha256' } as const

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-problem-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What is said of a DevID whose TPM refuses every command with a code. */
async function saidWith(responseCode: number): Promise<string | undefined> {
  const key = await newKey('ec')
  const wish = { commonName: 'a', use: 'client', notBefore: new Date(0), notAfter: new Date('2031-01-01') } as const
  const certFile = join(folder, 'devid.crt')
  writeFileSync(certFile, await selfSigned(wish, signerOf(key, createPublicKey(key))))
  const refusal = Buffer.alloc(10)
  refusal.writeUInt16BE(0x8001)
  refusal.writeUInt32BE(10, 2)
  refusal.writeUInt32BE(responseCode, 6)
  const tpm = await startScriptedTpm(() => refusal)
  try {
    return (await keyProblem({ certFile, tpmPath: tpm.path, key: { handle: 0x8101_0002 } }))?.is
  } finally {
    await tpm.close()
  }
}

describe('a DevID key', () => {
  it('is not made anew because it could not be looked at', async () => {
    const refusal = Buffer.from('80010000000a00000921', 'hex')
    const tpm = await startScriptedTpm(() => refusal)
    const key = await newKey('ec')
    const wish = { commonName: 'a', use: 'client', notBefore: new Date(), notAfter: new Date('2031-01-01') } as const
    writeFileSync(join(folder, 'a.crt'), await selfSigned(wish, signerOf(key, createPublicKey(key))))
    mkdirSync(join(folder, 'devid.d'))
    const lines = [`cert_file = "${join(folder, 'a.crt')}"`, `pub_file = "${join(folder, 'gone/pub')}"`]
    const more = [`priv_file = "${join(folder, 'gone/priv')}"`, `tpm_path = "${tpm.path}"`]
    writeFileSync(join(folder, 'devid.d/a.hcl'), [...lines, ...more].join('\n'))
    const words = ['renew', 'devid', '--devids', join(folder, 'devid.d'), '--journal', join(folder, 'journal'), '--yes']
    const without = await towerkeep(...words)
    // Its file is gone, so it is made anew, as far as the description goes.
    expect([without.exit, without.stderr]).toEqual([3, expect.stringContaining('set common_name')])
    mkdirSync(join(folder, 'gone'))
    writeFileSync(join(folder, 'gone/pub'), encodeTpm2bPublic(createPublicKey(key), AREA))
    writeFileSync(join(folder, 'gone/priv'), 'private')
    const unseen = await towerkeep(...words)
    expect([unseen.exit, unseen.stderr]).toEqual([3, expect.stringContaining('TPM_RC_LOCKOUT')])
    await tpm.close()
  })

  it('is not wrong because its TPM has no room, or is locked', async () => {
    expect([await saidWith(0x902), await saidWith(0x921)]).toEqual(['unseen', 'unseen'])
  })

  it('is wrong where the TPM has none at its handle', async () => {
    expect(await saidWith(0x18b)).toBe('wrong')
  })
})
