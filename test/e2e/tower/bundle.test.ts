import { X509Certificate } from 'node:crypto'
import { copyFileSync, readFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { expect, it } from 'vitest'
import { connectThrough } from '../../lab/processes/https.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { SPIRE_PORT } from '../../lab/tower/host.ts'
import { SERVICES_IP } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, hasSvid, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

const tower = useTower('twbundle')

/** Runs `spire-server localauthority x509 VERB`, and gives the authority ID it names. */
async function authority(verb: string, id?: string): Promise<string> {
  const words = ['localauthority', 'x509', verb, '-output', 'json']
  if (id !== undefined) words.push('-authorityID', id)
  const { code, stdout, stderr } = await tower().spire.cli(...words)
  expect({ verb, code, stderr: code === 0 ? '' : stderr }).toEqual({ verb, code: 0, stderr: '' })
  return /"authority_id": ?"([0-9a-f]+)"/.exec(stdout)?.[1] ?? ''
}

/** Tells whether a CA of this bundle signed a certificate. */
function isOf(bundle: string, certificate: X509Certificate): boolean {
  const authorities = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return authorities.some((pem) => certificate.verify(new X509Certificate(pem).publicKey))
}

/** Reads the certificate that the SPIRE server shows. */
async function shownByServer(): Promise<X509Certificate> {
  const socket = await connectThrough(tower().portal('ca'), SERVICES_IP, SPIRE_PORT)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  // Only looked at: nothing is sent over it.
  const tls = connect({ socket, rejectUnauthorized: false }, () => resolve(tls.getPeerCertificate().raw))
  tls.on('error', reject)
  const shown = new X509Certificate(await promise)
  tls.destroy()
  return shown
}

onTower('a host that was away while the server’s CA was rotated', () => {
  it('comes back by rebootstrap_mode = "auto" with the bundle of the day [T90] [P15]', async () => {
    const [away, stayed] = [tower().host('auth'), tower().host('ca')]
    const line = new Timeline('trust bundle rotated while a host was away', ['T90'])
    const more = { rebootstrap_mode: 'auto', rebootstrap_delay: '1s' }
    await away.startSpireAgent(tower().bundleFile, { more })
    await svidReturns(away)
    const { spiffeId } = away
    const oldBundle = readFileSync(tower().bundleFile, 'utf8')
    await line.step('auth switched off', () => away.spire.pause())
    const shown = await tower().spire.cli('localauthority', 'x509', 'show', '-output', 'json')
    const old = /"active":\s*{[^}]*"authority_id": ?"([0-9a-f]+)"/.exec(shown.stdout)?.[1] ?? ''
    expect(old).not.toBe('')
    const serial = await serialOf(tower(), stayed)
    const prepared = await authority('prepare')
    expect(await authority('activate', prepared)).toBe(prepared)
    line.mark('SPIRE server: new CA prepared and activated')
    await authority('taint', old)
    await attestedAgain(tower(), stayed, serial)
    await pollUntil('the workload of the host that stayed to have an SVID of the new CA', async () => {
      const [svid] = await stayed.spire.target.fetchX509()
      return svid !== undefined && !isOf(oldBundle, svid.certificate)
    })
    const newCertificate = async (): Promise<boolean> => !isOf(oldBundle, await shownByServer())
    await pollUntil('the server to show a certificate of the new CA', newCertificate, { deadlineMs: 90_000 })
    line.mark('old CA tainted: the server and the hosts that stayed went over to the new one by themselves')
    await authority('revoke', old)
    const withoutOld = (): string | undefined => {
      const kept = readFileSync(tower().bundleFile, 'utf8')
      return kept.includes(oldBundle.trim()) ? undefined : kept
    }
    const bundle = await pollUntil('the keeper to drop the old CA', withoutOld, { deadlineMs: 60_000 })
    line.mark('old CA revoked: the bundle holds the new one alone')
    copyFileSync(tower().bundleFile, away.files.bundle)
    away.spire.start()
    await svidReturns(away)
    expect(away.spire.target.readLog()).toMatch(/[Rr]ebootstrap/)
    line.mark('auth switched on with the bundle of the day: it threw its old one away and attested')
    expect(away.spiffeId).toBe(spiffeId)
    const [svid] = await away.spire.target.fetchX509()
    expect(svid?.bundle.trim()).toBe(bundle.trim())
    expect(await hasSvid(stayed)).toBe(true)
    line.mark('the same ID, and its workload has an SVID of the new CA')
    line.end()
  })
})
