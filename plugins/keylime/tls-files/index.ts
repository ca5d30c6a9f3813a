/**
 * Certificate and key files: read, checked, watched.
 *
 * @module
 */

export { type Life, lifeInWords, lifeLeft, lifeOf } from './certificate-life.ts'
export { CertificateWatch } from './certificate-watch.ts'
export { type CertificatesRead, chainOf, isSelfIssued, readCertificates } from './certificates.ts'
export type { ClientCertificate } from './client-certificate.ts'
export type { TlsFileNames, TlsFiles } from './file-names.ts'
export { keyInWords, type PrivateKeyRead, readPrivateKey } from './key-files.ts'
export { readTextFile } from './readable-file.ts'
export { loadTlsFiles, type TlsMaterial } from './tls-files.ts'
export { type TlsSource, type TlsWatch, watchTlsFiles } from './tls-watch.ts'
