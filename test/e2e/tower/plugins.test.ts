// The two plugins that come alone, in the tower: the keeper beside its SPIRE server's CA, one host's SPIRE agent with its keys in its TPM.
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { pollUntil } from '../../lab/processes/poll.ts'
import { JWT_AUDIENCE } from '../../lab/services/openbao.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, fetchJwt, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

/** Longest that files and OpenBao may be behind the SPIRE server's bundle. */
const SECONDS = { deadlineMs: 10_000, intervalMs: 50 }

const tower = useTower('twplug', { hosts: 2 })

/** Runs `spire-server localauthority KIND VERB`, and gives the authority ID it names. */
async function authority(kind: 'x509' | 'jwt', verb: string, id?: string): Promise<string> {
  const words = ['localauthority', kind, verb, '-output', 'json', ...(id === undefined ? [] : ['-authorityID', id])]
  const { code, stdout, stderr } = await tower().spire.cli(...words)
  expect({ verb, code, stderr: code === 0 ? '' : stderr }).toEqual({ verb, code: 0, stderr: '' })
  return /"authority_id": ?"(\w+)"/.exec(stdout)?.[1] ?? ''
}

/** Reads one of the files that the keeper keeps. */
const kept = (name: string): string => readFileSync(join(dirname(tower().bundleFile), name), 'utf8')

const keyIdOf = (jwt: string): string =>
  (JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid

const dataOf = (host: TowerHost): string => join(dirname(host.workloadSocket), 'data')

onTower('the two plugins that come alone', () => {
  it('the keeper follows a new CA and a new JWT key within seconds, and OpenBao with it [keeper:tower:rotation]', async () => {
    const line = new Timeline('CA and JWT key rotated beside the keeper', ['keeper:tower:rotation'])
    const host = tower().host('auth')
    const before = await fetchJwt(host, JWT_AUDIENCE)
    const old = keyIdOf(before)
    expect([await tower().bao.acceptsJwt(before), kept('jwks.json').includes(old)]).toEqual([true, true])
    line.mark('OpenBao lets a workload in by its JWT-SVID')

    const roots = (): number => kept('bundle.pem').split('BEGIN CERTIFICATE').length - 1
    const count = roots()
    await authority('x509', 'activate', await authority('x509', 'prepare'))
    await pollUntil('the new CA in bundle.pem', () => roots() === count + 1, SECONDS)
    expect(kept('bundle.pem').trim()).toBe((await tower().spire.cli('bundle', 'show')).stdout.trim())
    line.mark('new CA active, and in the file')

    const fresh = await authority('jwt', 'prepare')
    await pollUntil('the new key in jwks.json', () => kept('jwks.json').includes(fresh), SECONDS)
    await authority('jwt', 'activate', fresh)
    // So that no agent hands out what it has in store of the old key.
    await authority('jwt', 'taint', old)
    const after = await pollUntil('a JWT-SVID of the new key', async () => {
      const jwt = await fetchJwt(host, JWT_AUDIENCE)
      return keyIdOf(jwt) === fresh ? jwt : undefined
    })
    expect(await tower().bao.acceptsJwt(after)).toBe(true)
    line.mark('new JWT key active: the workload is let in by its new JWT-SVID')
    line.end()
  })

  it('an agent attests, renews and restarts with its keys in the TPM; another host gains nothing by its folders [tpm-keys:tower:life]', async () => {
    const line = new Timeline("a SPIRE agent's keys in its host's TPM", ['tpm-keys:tower:life'])
    const [host, other] = [tower().host('auth'), tower().host('spire')]
    const own = await serialOf(tower(), host)
    await host.startSpireAgent(tower().bundleFile, { tpmKeys: true })
    await attestedAgain(tower(), host, own)
    const keys = readdirSync(host.files.tpmKeys)
    expect(keys.length).toBeGreaterThan(0)
    expect(keys.every((name) => name.endsWith('.tpmkey'))).toBe(true)
    line.mark(`attested, its keys wrapped by the TPM: ${keys.length}`)

    const first = await serialOf(tower(), host)
    await attestedAgain(tower(), host, first)
    const renewed = await serialOf(tower(), host)
    line.mark('renewed with another key of the TPM')

    await host.spire.pause()
    host.spire.start()
    await svidReturns(host)
    expect(await serialOf(tower(), host)).toBe(renewed)
    expect(host.spire.target.readLog()).not.toContain('Node attestation was successful')
    line.mark('restarted: it went on with its key and its SVID, and did not attest')

    try {
      await other.spire.pause()
      const folders = [
        [dataOf(host), dataOf(other)],
        [host.files.tpmKeys, other.files.tpmKeys],
      ] as const
      for (const [from, to] of folders) {
        rmSync(to, { recursive: true, force: true })
        cpSync(from, to, { recursive: true })
      }
      await other.startSpireAgent(tower().bundleFile, { tpmKeys: true })
      await svidReturns(other)
      const log = other.spire.target.readLog()
      expect(log).toContain('Key is of another TPM')
      expect(log).toContain('Node attestation was successful')
      const svids = await other.spire.target.fetchX509()
      expect(svids.map(({ spiffeId }) => spiffeId)).toEqual(['spiffe://funlab.casa/workload/spire'])
      expect(await serialOf(tower(), host)).toBeDefined()
      line.mark('copied to another host: no key of it works there, and the agent attests as the host it is on')
    } finally {
      await other.startSpireAgent(tower().bundleFile)
      await svidReturns(other)
      await host.startSpireAgent(tower().bundleFile)
      await svidReturns(host)
    }
    line.end()
  })
})
