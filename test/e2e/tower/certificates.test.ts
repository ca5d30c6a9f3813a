import { createPublicKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { pollUntil } from '../../lab/processes/poll.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, attestUntil, onTower, serialOf, useTower } from './scenario.ts'

const ROUNDS = 20

// The load takes more than the six seconds that the other scenarios give a host.
const tower = useTower('twcert', { patience: 'default' })

const hosts = (): readonly TowerHost[] => [...tower().hosts.values()]
const serverLog = (): string => tower().spire.process().readLog()
const count = (text: string, what: RegExp): number => [...text.matchAll(what)].length

/** Kind and size of the key in a certificate file. */
function keyOf(file: string): string {
  const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey(
    new X509Certificate(readFileSync(file)).publicKey.export({ type: 'spki', format: 'pem' }),
  )
  return `${asymmetricKeyType} ${asymmetricKeyDetails?.namedCurve ?? asymmetricKeyDetails?.modulusLength}`
}

onTower('certificates that are renewed', () => {
  it('are read by a running server half, which goes on when the old one has expired [T81] [P13]', async () => {
    const host = tower().host('auth')
    const line = new Timeline('the server half’s client certificate expires under it', ['T81'])
    const { certificates } = tower()
    await line.step('one issued that lives ten seconds', () => certificates.issue('plugin', { ttl: '10s' }))
    await tower().spire.waitForLog(/TLS files reloaded/, 60_000)
    line.mark('the server half has read it')
    const { validToDate } = new X509Certificate(readFileSync(certificates.cert('plugin')))
    await line.step('a new one issued', () => certificates.issue('plugin'))
    await delay(Math.max(0, validToDate.getTime() - Date.now()) + 500)
    line.mark('the old one has expired')
    const serial = await serialOf(tower(), host)
    await tower().spire.evict(host.spiffeId)
    await attestedAgain(tower(), host, serial)
    expect(await serialOf(tower(), host)).not.toBe(serial)
    line.mark('attested with the new one; SPIRE was not restarted')
    line.end()
  })

  it('can be renewed 20 times under load without one failed attestation or restart of SPIRE [T24] [T23] [T10] [P13]', async () => {
    const line = new Timeline('certificates renewed 20 times while every host attests without pause', [
      'T10',
      'T23',
      'T24',
    ])
    const { certificates } = tower()
    const [logBefore, pid] = [serverLog(), tower().spire.process().pid]
    const starts = hosts().map((host) => host.spire.starts)
    const kinds = new Set<string>()
    let ended = false
    const load = Promise.all(hosts().map((host) => attestUntil(tower(), host, () => ended)))
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        const rsa = round % 2 === 1
        const before = count(serverLog(), /TLS files reloaded/g)
        await certificates.issue('plugin', { role: rsa ? 'tower-infrastructure' : 'keylime-services' })
        await pollUntil('the server half to read it', () => count(serverLog(), /TLS files reloaded/g) > before)
        const host = hosts()[round % hosts().length]
        await host?.renewCertificates({ role: rsa ? 'keylime-agents-rsa' : 'keylime-agents' })
        const attestedBefore = count(serverLog(), /Node attested/g)
        await pollUntil('attestations after the renewal', () => count(serverLog(), /Node attested/g) > attestedBefore)
        for (const file of [certificates.cert('plugin'), host?.files.agentCert ?? '']) kinds.add(keyOf(file))
      }
    } finally {
      ended = true
    }
    const attested = (await load).reduce((sum, times) => sum + times, 0)
    line.mark(
      `${ROUNDS} renewals of the server half’s and of a host’s certificates, ${attested} attestations meanwhile`,
    )
    const log = serverLog().slice(logBefore.length)
    expect(
      log.split('\n').filter((text) => /Node refused|Node not attested yet|Attestation failed/.test(text)),
    ).toEqual([])
    expect(count(log, /Node attested/g)).toBeGreaterThanOrEqual(attested)
    expect(attested).toBeGreaterThanOrEqual(ROUNDS)
    expect([...kinds].toSorted()).toEqual(['ec prime256v1', 'rsa 2048'])
    expect([tower().spire.process().pid, tower().spire.process().exit()]).toEqual([pid, undefined])
    expect(hosts().map((host) => host.spire.starts)).toEqual(starts)
    line.mark('none refused, none failed; no part of SPIRE was restarted; keys EC P-256 and RSA 2048')
    line.end()
  })
})
