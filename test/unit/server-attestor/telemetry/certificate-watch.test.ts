import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadTlsFiles, type TlsMaterial } from '../../../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../../../plugins/keylime/tls-files/tls-watch.ts'
import { CertificateWatch } from '../../../../server-attestor/telemetry/certificate-watch.ts'
import { newTestPki, type TestPki } from '../../../fakes/pki.ts'
import { holding } from '../expecting.ts'
import { type LogLine, recordedLog } from '../in-process.ts'

const DAY_MS = 86_400_000
const NOW = Date.now()
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

describe('CertificateWatch', () => {
  it('warns at a third and at a tenth of the life left, and calls the end an error, each once [T64] [P10]', () => {
    const lines: LogLine[] = []
    const watch = new CertificateWatch(fixedTls(material), recordedLog(lines), NOW)
    for (const day of [0, 5, 6, 7, 8.1, 8.5, 9.1, 9.2]) watch.look(NOW + day * DAY_MS)
    watch.close()
    expect(lines).toMatchObject([
      {
        level: 'warn',
        message: 'Certificate expires soon',
        fields: { certificate: holding('spire-server'), life_left_percent: 30 },
      },
      {
        level: 'warn',
        message: 'Certificate expires soon',
        fields: { file: material.client?.certFile, life_left_percent: 9 },
      },
      { level: 'error', message: 'Certificate has expired', fields: { life_left_percent: 0 } },
    ])
  })

  it('does not repeat what Configure has warned of', () => {
    const lines: LogLine[] = []
    const watch = new CertificateWatch(fixedTls(material), recordedLog(lines), NOW + 7 * DAY_MS)
    watch.look(NOW + 7.1 * DAY_MS)
    watch.close()
    expect(lines).toEqual([])
  })
})
