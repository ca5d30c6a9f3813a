/**
 * Certificate and key files under fuzz: half written, glued together, of another kind. A file never throws.
 *
 * @module
 */
import { readCertificates } from '../../plugins/keylime/tls-files/certificates.ts'
import { readPrivateKey } from '../../plugins/keylime/tls-files/key-files.ts'
import 'reflect-metadata'
import { newTestPki } from '../fakes/pki.ts'
import type { FuzzTarget } from './fuzz-target.ts'

async function files(): Promise<Buffer[]> {
  using pki = newTestPki()
  const root = await pki.root('fuzz root')
  const leaf = await root.issue('leaf', { key: 'rsa-2048' })
  const keys = (['pkcs8', 'pkcs1', 'encrypted'] as const).map((format) => leaf.keyPem(format))
  return [root.pem, leaf.pem, leaf.chainPem, root.keyPem('sec1'), ...keys].map((text) => Buffer.from(text))
}

/** The PEM readers. */
export const pem: FuzzTarget = {
  name: 'pem',
  mutants: 100_000,
  maxMs: 1000,
  corpus: await files(),
  pieces: [
    '-----',
    '-----BEGIN ',
    '-----END ',
    'CERTIFICATE',
    'PRIVATE KEY',
    'TRUSTED ',
    '\n',
    '\r\n',
    '=',
    ' ',
    '\0',
    '\uFEFF',
    'MIIB',
    'Proc-Type: 4,ENCRYPTED\n',
  ].map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString('latin1')
    const { certificates } = readCertificates(text)
    return certificates.length > 0 || 'key' in readPrivateKey(text) ? 'accepted' : 'refused'
  },
}
