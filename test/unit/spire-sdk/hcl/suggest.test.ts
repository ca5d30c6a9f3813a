import { describe, expect, it } from 'vitest'
import { suggest } from '../../../../plugins/spire-sdk/hcl/suggest.ts'

const known = [
  'keylime_verifier_host',
  'keylime_verifier_port',
  'keylime_tls_ca_cert_file',
  'keylime_tls_cert_file',
  'keylime_tls_key_file',
  'request_timeout',
  'enforce',
]

describe('suggest', () => {
  it.each([
    ['keylime_verifer_host', ['keylime_verifier_host']],
    ['KEYLIME-VERIFIER-PORT', ['keylime_verifier_port']],
    ['keylime_tls_ca_cert', ['keylime_tls_ca_cert_file']],
    ['keylime_tls_crt_file', ['keylime_tls_cert_file']],
    ['verifier_host', ['keylime_verifier_host']],
    ['timeout', ['request_timeout']],
    ['enfroce', ['enforce']],
    ['verifier_url', ['keylime_verifier_host', 'keylime_verifier_port']],
    ['something_else', []],
    ['x', []],
    ['', []],
    ['x'.repeat(1000), []],
  ])('finds for %j: %j', (unknown, expected) => {
    expect(suggest(unknown, known)).toEqual(expected)
  })
})
