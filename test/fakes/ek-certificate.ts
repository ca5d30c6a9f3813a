// Endorsement key certificates as swtpm's local CA writes them.
import 'reflect-metadata'
import { BasicConstraintsExtension, Extension, KeyUsageFlags, KeyUsagesExtension } from '@peculiar/x509'
import type { CertificateOptions, IssuedCertificate, TestCa, TestPki } from './pki.ts'
import type { SoftwareTpm } from './software-tpm.ts'

const EK_USAGE = '2.23.133.8.1'
// Both as recorded from swtpm 0.7.1: a directory name with manufacturer, model and version; family "2.0", revision 164.
const TPM_NAME = Buffer.from(
  '3046a444304231163014060567810502010c0b69643a30303030313031343110300e060567810502020c05737774706d' +
    '31163014060567810502030c0b69643a3230313931303233',
  'hex',
)
const TPM_SPECIFICATION = Buffer.from('3019301706056781050210310e300c0c03322e30020100020200a4', 'hex')

/**
 * Makes a vendor's CA for endorsement keys: a root and the intermediate that signs.
 * @returns Both; a store that verifies EK certificates holds `root.pem` and `issuer.pem`.
 */
export async function newEkCa(pki: TestPki): Promise<{ readonly root: TestCa; readonly issuer: TestCa }> {
  const root = await pki.root('swtpm-localca-rootca')
  return { root, issuer: await root.intermediate('swtpm-localca') }
}

/**
 * Issues the EK certificate of a TPM, with the critical directory-name SAN that generic verifiers stumble over.
 * @returns The certificate; its DER is the registrar's `ekcert`.
 */
export function issueEkCertificate(
  issuer: TestCa,
  tpm: SoftwareTpm,
  options: CertificateOptions = {},
): Promise<IssuedCertificate> {
  return issuer.issue('unknown', {
    key: tpm.ek,
    dns: [],
    ip: [],
    eku: [EK_USAGE],
    extensions: [
      new Extension('2.5.29.17', true, TPM_NAME),
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyEncipherment, true),
      new Extension('2.5.29.9', false, TPM_SPECIFICATION),
    ],
    ...options,
  })
}
