import { describe, expect, it } from 'vitest'
import { CertificateGauge } from '../../../agent-attestor/certificate-gauge.ts'
import type { Metrics } from '../../../plugins/spire-sdk/index.ts'

function refuse(): Promise<never> {
  return Promise.reject(new Error('no metrics here'))
}

describe('CertificateGauge', () => {
  it('sends the share under the name that SPIRE publishes [P13]', async () => {
    const gauges: string[] = []
    const setGauge: Metrics['setGauge'] = async (key, value, labels) => {
      gauges.push(`${key.join('.')} ${value} ${JSON.stringify(labels)}`)
    }
    await new CertificateGauge({ metrics: async () => ({ setGauge }) as Metrics }).set(0.75, '/etc/client.crt')
    expect(gauges).toEqual(['keylime.certificate_remaining_ratio 0.75 {"file":"/etc/client.crt"}'])
  })

  it('has no trouble with a host without metrics', async () => {
    await expect(new CertificateGauge({ metrics: refuse }).set(0.75, '/etc/client.crt')).resolves.toBeUndefined()
  })
})
