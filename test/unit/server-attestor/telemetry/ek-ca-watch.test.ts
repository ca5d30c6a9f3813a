import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type EkAnchors, loadEkAnchors } from '../../../../plugins/keylime/evidence/ek-anchors.ts'
import { EkCaWatch } from '../../../../server-attestor/telemetry/ek-ca-watch.ts'
import { newTestPki, type TestPki } from '../../../fakes/pki.ts'

const DAY_MS = 86_400_000
const ENDS = new Date('2030-06-01T00:00:00Z')
let pki: TestPki
let anchors: EkAnchors

beforeAll(async () => {
  pki = newTestPki()
  const ca = await pki.root('Maker', { validity: { notBefore: new Date('2010-06-01'), notAfter: ENDS } })
  anchors = loadEkAnchors(pki.write('maker.pem', ca.pem)).anchors ?? { certificates: [] }
})
afterAll(() => pki.remove())

function watchFrom(ms: number) {
  const lines: string[] = []
  const log = {
    warn: (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push(`${message}: ${String(fields['certificate'])} ${String(fields['dates'])}`)
    },
  }
  return { lines, watch: new EkCaWatch(anchors, log, ENDS.getTime() + ms) }
}

describe('EkCaWatch', () => {
  it('speaks once when 90 days are left and once when a certificate is over [claims:ek:dates]', () => {
    const { lines, watch } = watchFrom(-100 * DAY_MS)
    for (const days of [-99, -89, -88, -1, 1, 2]) watch.look(ENDS.getTime() + days * DAY_MS)
    watch.close()
    expect(lines).toEqual([
      "A TPM maker's CA certificate expires soon: CN=Maker expires on 2030-06-01",
      "A TPM maker's CA certificate has expired: CN=Maker expired since Jun  1 00:00:00 2030 GMT",
    ])
  })

  it('says nothing of what Configure has warned of', () => {
    const { lines, watch } = watchFrom(DAY_MS)
    watch.look(ENDS.getTime() + 2 * DAY_MS)
    watch.close()
    expect(lines).toEqual([])
  })
})
