// A certificate authority for tests: real certificates in a temporary folder, gone when the test ends.
import 'reflect-metadata'
import { randomBytes, X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { type KeyFormat, type KeyKind, keyPem, pooledTestKey, type TestKey, webCryptoPair } from './pki-keys.ts'

const DAY_MS = 86_400_000
const EKU_OIDS = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const

/** Says when a certificate holds: by name, or by the two dates. */
export type Validity =
  | 'valid'
  | 'expired'
  | 'expires-soon'
  | 'not-yet-valid'
  | { readonly notBefore: Date; readonly notAfter: Date }

/** Describes a certificate to make; every field has a default. */
export interface CertificateOptions {
  /** Full subject, such as `CN=server,O=Keylime`; `''` leaves it empty. Default `CN=<name>`. */
  readonly subject?: string
  /** Kind of a new key, or an existing one. Default `ec-p256`. */
  readonly key?: KeyKind | TestKey
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
  readonly uri?: readonly string[]
  /** `serverAuth`, `clientAuth` or a dotted OID; default none, as Keylime's own certificates have none. */
  readonly eku?: readonly string[]
  readonly validity?: Validity
  /** Hexadecimal; default random. */
  readonly serial?: string
  /** Further extensions, as they are. */
  readonly extensions?: readonly Extension[]
}

/** One certificate with its key. */
export interface IssuedCertificate {
  readonly pem: string
  /** The leaf and the intermediates above it, without the root. */
  readonly chainPem: string
  readonly x509: X509Certificate
  readonly key: TestKey
  keyPem(format?: KeyFormat, passphrase?: string): string
}

/** A certificate that can sign others. */
export interface TestCa extends IssuedCertificate {
  /** Issues a leaf; default subject `CN=<name>`, names `localhost`, `127.0.0.1`, `::1`. */
  issue(name: string, options?: CertificateOptions): Promise<IssuedCertificate>
  /** Issues an intermediate authority. */
  intermediate(name: string, options?: CertificateOptions): Promise<TestCa>
}

/** The folder of one test, and the maker of its certificates. */
export interface TestPki extends Disposable {
  readonly folder: string
  /** Makes a root; asking twice for one name gives two roots of that name with different keys. */
  root(name: string, options?: CertificateOptions): Promise<TestCa>
  /** Makes a self-signed leaf, as a Keylime agent does. */
  selfSigned(name: string, options?: CertificateOptions): Promise<IssuedCertificate>
  /** Writes a file under the folder, whole in one step, and returns its path. */
  write(name: string, content: string | Uint8Array, mode?: number): string
  /** Writes `<name>.crt` (with its chain) and `<name>.key`, and returns both paths. */
  writePair(
    name: string,
    issued: IssuedCertificate,
    format?: KeyFormat,
  ): { readonly certFile: string; readonly keyFile: string }
  remove(): void
}

interface Signer {
  readonly certificate: IssuedCertificate
  readonly isRoot: boolean
}

/**
 * Starts a test PKI in a new temporary folder.
 * @returns The PKI; `remove()` (or `using`) deletes the folder.
 */
export function newTestPki(): TestPki {
  const folder = mkdtempSync(join(tmpdir(), 'tower-pki-'))
  let rsaKeysTaken = 0
  const takeKey = (wanted: KeyKind | TestKey = 'ec-p256'): TestKey =>
    typeof wanted === 'string' ? pooledTestKey(wanted, rsaKeysTaken++) : wanted
  const makeCa = async (name: string, options: CertificateOptions, signer?: Signer): Promise<TestCa> => {
    const made = await makeCertificate(name, options, takeKey(options.key), { isCa: true, signer })
    const self = { certificate: made, isRoot: signer === undefined }
    return {
      ...made,
      issue: (leaf, leafOptions = {}) => {
        const named = { dns: ['localhost'], ip: ['127.0.0.1', '::1'], ...leafOptions }
        return makeCertificate(leaf, named, takeKey(named.key), { isCa: false, signer: self })
      },
      intermediate: (inner, innerOptions = {}) => makeCa(inner, innerOptions, self),
    }
  }
  const write: TestPki['write'] = (name, content, mode = 0o600) => writeWhole(join(folder, name), content, mode)
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  return {
    folder,
    root: (name, options = {}) => makeCa(name, options),
    selfSigned: (name, options = {}) =>
      makeCertificate(name, options, takeKey(options.key), { isCa: false, signer: undefined }),
    write,
    writePair: (name, issued, format) => ({
      certFile: write(`${name}.crt`, issued.chainPem, 0o644),
      keyFile: write(`${name}.key`, issued.keyPem(format)),
    }),
    remove,
    [Symbol.dispose]: remove,
  }
}

function writeWhole(path: string, content: string | Uint8Array, mode: number): string {
  mkdirSync(dirname(path), { recursive: true })
  const staged = `${path}.${randomBytes(4).toString('hex')}`
  writeFileSync(staged, content, { mode })
  chmodSync(staged, mode)
  renameSync(staged, path)
  return path
}

async function makeCertificate(
  name: string,
  options: CertificateOptions,
  key: TestKey,
  role: { readonly isCa: boolean; readonly signer: Signer | undefined },
): Promise<IssuedCertificate> {
  const { signer } = role
  const pair = await webCryptoPair(key)
  const signing = signer === undefined ? pair : await webCryptoPair(signer.certificate.key)
  const extensions = [
    ...extensionsFor(options, role.isCa),
    await SubjectKeyIdentifierExtension.create(pair.publicKey),
    await AuthorityKeyIdentifierExtension.create(signing.publicKey),
    ...(options.extensions ?? []),
  ]
  const subject = options.subject ?? `CN=${name}`
  const made = await X509CertificateGenerator.create({
    serialNumber: options.serial ?? `01${randomBytes(15).toString('hex')}`,
    subject,
    issuer: signer === undefined ? subject : subjectOf(signer.certificate),
    ...dates(options.validity ?? 'valid'),
    publicKey: pair.publicKey,
    signingKey: signing.privateKey,
    signingAlgorithm: signing.algorithm,
    extensions,
  })
  const pem = `${made.toString('pem')}\n`
  const above = signer === undefined || signer.isRoot ? '' : signer.certificate.chainPem
  return {
    pem,
    chainPem: pem + above,
    x509: new X509Certificate(pem),
    key,
    keyPem: (format, passphrase) => keyPem(key, format, passphrase),
  }
}

// Node prints a subject one attribute a line, most significant first; the generator reads them in one line.
function subjectOf(issued: IssuedCertificate): string {
  return issued.x509.subject.split('\n').join(',')
}

function extensionsFor(options: CertificateOptions, isCa: boolean): Extension[] {
  const names: JsonGeneralNames = [
    ...(options.dns ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(options.ip ?? []).map((value) => ({ type: 'ip' as const, value })),
    ...(options.uri ?? []).map((value) => ({ type: 'url' as const, value })),
  ]
  const extensions: Extension[] = []
  if (isCa) {
    extensions.push(new BasicConstraintsExtension(true, undefined, true))
    extensions.push(new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true))
  }
  if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension(names))
  if (options.eku !== undefined) {
    const oids = options.eku.map((use) => (use === 'serverAuth' || use === 'clientAuth' ? EKU_OIDS[use] : use))
    extensions.push(new ExtendedKeyUsageExtension(oids))
  }
  return extensions
}

// Days from now at which each begins and ends to hold.
const SPANS = {
  valid: [-1, 365],
  expired: [-30, -1],
  'expires-soon': [-364, 1 / 24],
  'not-yet-valid': [1, 365],
} as const

function dates(validity: Validity): { readonly notBefore: Date; readonly notAfter: Date } {
  if (typeof validity === 'object') return validity
  const [from, to] = SPANS[validity]
  return { notBefore: new Date(Date.now() + from * DAY_MS), notAfter: new Date(Date.now() + to * DAY_MS) }
}
