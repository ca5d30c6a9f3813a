import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CertificateWatch } from '../../../../plugins/keylime/tls-files/certificate-watch.ts'
import { loadTlsFiles, type TlsMaterial } from '../../../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../../../plugins/keylime/tls-files/tls-watch.ts'
import { newTestPki, type TestPki } from '../../../fakes/pki.ts'

const DAY_MS = 86_400_000
const NOW = Math.floor(Date.now() / 1_000) * 1_000
let pki: TestPki
let material: TlsMaterial

beforeAll(async () => {
  pki = newTestPki()
  const ca = await pki.root('Keylime Certificate Authority')
  const validity = { notBefore: new Date(NOW - DAY_MS), notAfter: new Date(NOW + 9 * DAY_MS) }
  const files = pki.writePair('client', await ca.issue('spire-server', { validity }))
  const loaded = loadTlsFiles({ caFile: pki.write('ca.crt', ca.pem), ...files })
  if (loaded.material === undefined) throw new Error(loaded.problems.join('; '))
  material = loaded.material
})
afterAll(() => pki.remove())

function watchFrom(day: number) {
  const time = { now: NOW + day * DAY_MS }
  const lines: { level: string; message: string; fields: unknown }[] = []
  const gauges: [number, string][] = []
  const at = (level: string) => (message: string, fields?: unknown) => void lines.push({ level, message, fields })
  const watch = new CertificateWatch(fixedTls(material), {
    log: { warn: at('warn'), error: at('error') },
    gauge: (left, file) => gauges.push([left, file]),
    clock: () => time.now,
  })
  const look = (later: number): void => {
    time.now = NOW + later * DAY_MS
    watch.look()
  }
  return { look, lines, gauges, [Symbol.dispose]: () => watch.close() }
}

describe('CertificateWatch', () => {
  it('warns at a third and at a tenth of the life left, and calls the end an error, each once [T64] [P10] [P13]', () => {
    using watch = watchFrom(0)
    for (const day of [0, 5, 6, 7, 8.1, 8.5, 9.1, 9.2]) watch.look(day)
    const certificate = 'CN=spire-server'
    expect(watch.lines).toMatchObject([
      { level: 'warn', message: 'Certificate expires soon', fields: { certificate, life_left_percent: 30 } },
      {
        level: 'warn',
        message: 'Certificate expires soon',
        fields: { file: material.client?.certFile, life_left_percent: 9 },
      },
      { level: 'error', message: 'Certificate has expired', fields: { life_left_percent: 0 } },
    ])
  })

  it('does not repeat what Configure has warned of', () => {
    using watch = watchFrom(7)
    watch.look(7.1)
    expect(watch.lines).toEqual([])
  })

  it('tells its gauge the share of its life that the client certificate has left [P13]', () => {
    using watch = watchFrom(0)
    for (const day of [-1, 1.5, 9, 20]) watch.look(day)
    expect(watch.gauges).toEqual([1, 0.75, 0, 0].map((left) => [left, material.client?.certFile]))
  })
})
