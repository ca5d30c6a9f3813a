/**
 * Certificate and key files: read, checked, watched.
 *
 * @module
 */

export { lifeInWords, lifeLeftShare } from './certificates.ts'
export type { ClientCertificate } from './client-certificate.ts'
export { loadTlsFiles, type TlsFileNames, type TlsFiles, type TlsMaterial } from './tls-files.ts'
export { type TlsSource, type TlsWatch, watchTlsFiles } from './tls-watch.ts'
