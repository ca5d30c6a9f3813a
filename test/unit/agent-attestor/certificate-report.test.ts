import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CertificateReport } from '../../../agent-attestor/certificate-report.ts'
import { loadTlsFiles, type TlsMaterial } from '../../../plugins/keylime/tls-files/tls-files.ts'
import { fixedTls } from '../../../plugins/keylime/tls-files/tls-watch.ts'
import type { Metrics } from '../../../plugins/spire-sdk/index.ts'
import { newTestPki, type TestPki } from '../../fakes/pki.ts'
import { newRecordingLog } from './recording-log.ts'

const DAY_MS = 86_400_000
const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000 - DAY_MS)
const notAfter = new Date(notBefore.getTime() + 4 * DAY_MS)
let pki: TestPki
let material: TlsMaterial
let certFile: string

beforeAll(async () => {
  pki = newTestPki()
  const ca = await pki.root('agent clients')
  const pair = pki.writePair('client', await ca.issue('spire-agent', { validity: { notBefore, notAfter } }))
  const loaded = loadTlsFiles(pair)
  if (loaded.material === undefined) throw new Error(loaded.problems.join())
  ;({ material } = loaded)
  ;({ certFile } = pair)
})
afterAll(() => pki.remove())

function scene(hasMetrics = true) {
  const gauges: string[] = []
  const { log, lines } = newRecordingLog()
  const setGauge: Metrics['setGauge'] = async (key, value, labels) => {
    gauges.push(`${key.join('.')} ${value} ${JSON.stringify(labels)}`)
  }
  const time = { now: notBefore.getTime() }
  const metrics = async (): Promise<Metrics> => {
    if (!hasMetrics) throw new Error('no metrics here')
    return { setGauge } as Metrics
  }
  const report = new CertificateReport({ tls: fixedTls(material), hosts: { metrics }, log, clock: () => time.now })
  return { report, gauges, lines, time }
}

describe('CertificateReport', () => {
  it('exports the share of its life that the client certificate has left [P13]', async () => {
    const { report, gauges, time } = scene()
    for (const days of [0, 1, 4, 9]) {
      time.now = notBefore.getTime() + days * DAY_MS
      await report.report()
    }
    report.close()
    const labels = JSON.stringify({ file: certFile })
    expect(gauges).toEqual([1, 0.75, 0, 0].map((left) => `keylime.certificate_remaining_ratio ${left} ${labels}`))
  })

  it('says once that renewal is late, and once that it is too late [P13]', async () => {
    const { report, lines, time } = scene(false)
    for (const hours of [0, 71, 73, 74, 95, 96, 97, 200]) {
      time.now = notBefore.getTime() + hours * 3_600_000
      await report.report()
    }
    report.close()
    const facts = JSON.stringify({ cert_file: certFile, subject: 'CN=spire-agent', not_after: notAfter.toISOString() })
    expect(lines).toEqual([
      `warn Client certificate expires soon and was not renewed ${facts}`,
      `error Client certificate has expired: the Keylime agent will refuse it ${facts}`,
    ])
  })
})
