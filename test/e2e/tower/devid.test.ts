import { createHash, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { holdTpm } from '../../lab/services/held-tpm.ts'
import { type DevIdSpire, startDevIdSpire } from '../../lab/services/spire-devid.ts'
import { heal } from '../../lab/tower/actions.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { onTower, svidReturns, towerParts, useTower } from './scenario.ts'
import { documentOf, type VerbDocument, verbsOf } from './verbs.ts'

const SPIRE_PORT = 8091

const tower = useTower('twdevid', { hosts: 1 })
const { attemptOn, doctorOn } = verbsOf(tower)

const host = (): TowerHost => tower().host('spire')
const file = (name: string): string => join(tower().dir, 'devid', name)
const devids = (): readonly string[] => ['--devids', file('devid.d')]
const doctor = (): Promise<readonly string[]> => doctorOn('spire', 'devid', ...devids())

async function renewDevId(...more: readonly string[]): Promise<VerbDocument> {
  return documentOf(await attemptOn('spire', 'renew', 'devid', ...devids(), ...more))
}

/** Starts a SPIRE that knows hosts by their DevIDs alone, on the host whose TPM it asks. */
async function spireForDevIds(tpmPath: string): Promise<DevIdSpire> {
  const rootFile = file('root.crt')
  writeFileSync(rootFile, tower().root.certificate())
  return startDevIdSpire(tower().on('spire'), {
    dir: file(`spire-${Date.now()}`),
    binDir: (await towerParts()).spireBin,
    port: SPIRE_PORT,
    trustDomain: `devid.${DOMAIN}`,
    devIdCaFile: rootFile,
    endorsementCaFile: join(tower().dir, 'ek-ca', 'issuercert.pem'),
    devId: { certFile: file('devid.crt'), pubFile: file('devid.pub'), privFile: file('devid.priv') },
    tpmPath,
  })
}

/** Path of the SPIFFE ID that SPIRE gives the agent with the certificate in place. */
function expectedPath(): string {
  const { raw } = new X509Certificate(readFileSync(file('devid.crt')))
  return `/spire/agent/tpm_devid/${createHash('sha1').update(raw).digest('hex')}`
}

onTower('towerkeep keeps DevIDs', () => {
  beforeAll(async () => {
    const { roleId, secretId } = await tower().bao.allowAppRole('devid-spire', 'keylime-agents-rsa')
    mkdirSync(file('devid.d'), { recursive: true })
    writeFileSync(file('role-id'), roleId, { mode: 0o600 })
    writeFileSync(file('secret-id'), secretId, { mode: 0o600 })
    const values = {
      cert_file: file('devid.crt'),
      pub_file: file('devid.pub'),
      priv_file: file('devid.priv'),
      tpm_path: host().measured.tpm.path,
      common_name: `spire.${DOMAIN}`,
      address: tower().bao.operator.address,
      ca_file: host().files.chain,
      role: 'keylime-agents-rsa',
      approle_role_id_file: file('role-id'),
      approle_secret_id_file: file('secret-id'),
    }
    const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    writeFileSync(file('devid.d/spire.hcl'), lines.join('\n'))
  })

  it('finds a DevID certificate over a throw-away key, and makes one in the TPM [O21] [T70] [P31]', async () => {
    const line = new Timeline('renew devid', ['O21'])
    const made = await renewDevId('--force')
    expect([made.exit, made.summary['outcome'], made.summary['messages']]).toEqual([0, 'done', []])
    expect(await doctor()).toEqual([])
    line.mark('a key of the TPM is certified')
    expect((await renewDevId()).summary['outcome']).toBe('nothing-to-do')
    const thrown = await tower().bao.issue({
      role: 'keylime-agents-rsa',
      commonName: `spire.${DOMAIN}`,
      ttl: '1h',
    })
    writeFileSync(file('devid.crt'), thrown.chain)
    expect(await doctor()).toEqual(['TK-DEVID-KEY'])
    line.mark('a certificate over another key is found')
    expect((await renewDevId()).exit).toBe(0)
    expect(await doctor()).toEqual([])
    line.end()
  })

  it('makes DevIDs that SPIRE’s own tpm_devid attestor takes, the first and the one after it [operator:devid:attested-by-spire]', async () => {
    const line = new Timeline('SPIRE attests by the DevID that renew devid made', ['operator:devid:attested-by-spire'])
    const { tpm } = host().measured
    // SPIRE holds three keys at once, which are all the places that this TPM has.
    await host().stopKeylimeAgent()
    const held = await holdTpm(tpm.path, file('held.sock'))
    let spire: DevIdSpire | undefined
    try {
      expect((await renewDevId('--force')).exit).toBe(0)
      spire = await spireForDevIds(file('held.sock'))
      const first = await spire.attest()
      expect([first.attestation_type, first.id.path]).toEqual(['tpm_devid', expectedPath()])
      line.mark('attested by the first one')
      expect((await renewDevId('--force')).exit).toBe(0)
      const second = await spire.attest()
      expect([second.attestation_type, second.id.path]).toEqual(['tpm_devid', expectedPath()])
      expect(second.id.path).not.toBe(first.id.path)
      line.mark('rotated, and attested by the next one')
    } finally {
      await spire?.stop()
      held.close()
      await host().startKeylimeAgent()
      await heal(tower(), host())
    }
    await svidReturns(host())
    line.end()
  })
})
