import { describe, expect, it } from 'vitest'
import { WATCH_DEFAULTS } from '../../../../operator/site/watch-conf.ts'
import { watchSettings } from '../../../../operator/watch/settings.ts'

/** Settings of a configuration whose block `watch` has these values. */
function settings(watch: Partial<typeof WATCH_DEFAULTS>) {
  const values = { watch: { ...WATCH_DEFAULTS, ...watch } }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return watchSettings({ values, warnings: [], source: () => '' } as unknown as Parameters<typeof watchSettings>[0])
}

describe('where the page is served', () => {
  it('is with TLS or without, and never without because a file of three is missing', () => {
    const tls = { http_cert_file: '/a.crt', http_key_file: '/a.key', http_client_ca_file: '/ca.crt' }
    expect(settings({}).http.tls).toBeUndefined()
    expect(settings(tls).http.tls).toEqual({ certFile: '/a.crt', keyFile: '/a.key', clientCaFile: '/ca.crt' })
    for (const key of Object.keys(tls))
      expect(() => settings({ ...tls, [key]: undefined })).toThrow(
        'http_cert_file, http_key_file and http_client_ca_file',
      )
  })
})
