/**
 * The tower's root, "Eye of Thundera", and the certificates that no OpenBao can issue yet or should not issue.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate and its key, both PEM; `chain` is what a server should send: leaf first. */
export interface IssuedPair {
  readonly cert: string
  readonly key: string
  readonly chain: string
}

const ROOT_SUBJECT = '/CN=Eye of Thundera/O=Funlab.Casa/OU=Tower of Omens/C=US'

/** Makes and uses the root CA in one folder, by the openssl command. */
export class RootCa {
  readonly #dir: string

  /** @param dir Private folder; made if missing. */
  constructor(dir: string) {
    this.#dir = dir
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  }

  /** Makes the root: RSA 4096, 100 years. */
  create(): void {
    this.#openssl(
      ['req', '-x509', '-newkey', 'rsa:4096', '-nodes', '-sha256', '-days', '36500', '-subj', ROOT_SUBJECT],
      ['-keyout', this.#path('root.key'), '-out', this.#path('root.crt')],
      ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
    )
    chmodSync(this.#path('root.key'), 0o600)
  }

  /** Reads the root's certificate, PEM. */
  certificate(): string {
    return readFileSync(this.#path('root.crt'), 'utf8')
  }

  /**
   * Signs a request as an intermediate CA of path length 0.
   *
   * @param csr PEM request.
   * @returns PEM certificate.
   */
  signIntermediate(csr: string, days = 3650): string {
    return this.#sign(csr, days, [
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      'keyUsage=critical,keyCertSign,cRLSign',
      'subjectKeyIdentifier=hash',
      'authorityKeyIdentifier=keyid:always',
    ])
  }

  /** Makes an intermediate CA with an EC P-256 key. */
  issueIntermediate(name: string): IssuedPair {
    const { csr, key } = this.#request(name)
    const cert = this.signIntermediate(csr)
    return { cert, key, chain: cert }
  }

  /**
   * Issues a server certificate directly, for a service that must be up before its own CA is.
   *
   * @param names DNS names, the first also as common name.
   */
  issueServer(names: readonly string[], ips: readonly string[], days = 1): IssuedPair {
    const { csr, key } = this.#request(names[0] ?? '')
    const san = [...names.map((name) => `DNS:${name}`), ...ips.map((ip) => `IP:${ip}`)].join(',')
    const cert = this.#sign(csr, days, [
      'basicConstraints=CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth',
      `subjectAltName=${san}`,
    ])
    return { cert, key, chain: cert }
  }

  /** Makes an EC P-256 key and a request for it. */
  #request(name: string): { readonly csr: string; readonly key: string } {
    const [csrPath, keyPath] = [this.#path('leaf.csr'), this.#path('leaf.key')]
    this.#openssl(
      ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`],
      ['-keyout', keyPath, '-out', csrPath],
    )
    return { csr: readFileSync(csrPath, 'utf8'), key: readFileSync(keyPath, 'utf8') }
  }

  #sign(csr: string, days: number, extensions: readonly string[]): string {
    const csrPath = this.#path('sign.csr')
    const extPath = this.#path('sign.ext')
    const outPath = this.#path('sign.crt')
    writeFileSync(csrPath, csr)
    writeFileSync(extPath, `${extensions.join('\n')}\n`)
    this.#openssl(
      ['x509', '-req', '-sha256', '-in', csrPath, '-CA', this.#path('root.crt'), '-CAkey', this.#path('root.key')],
      ['-CAcreateserial', '-days', String(days), '-extfile', extPath, '-out', outPath],
    )
    return readFileSync(outPath, 'utf8')
  }

  #openssl(...groups: readonly (readonly string[])[]): void {
    execFileSync('openssl', groups.flat(), { stdio: ['ignore', 'ignore', 'pipe'] })
  }

  #path(name: string): string {
    return join(this.#dir, name)
  }
}

/**
 * Puts a pair in place so that a reader never sees half of it: both are written aside, then renamed, the key first.
 *
 * @param certFile Where the chain goes, mode 0644.
 * @param keyFile Where the key goes, mode 0600.
 */
export function installPair(pair: IssuedPair, certFile: string, keyFile: string): void {
  writeFileSync(`${keyFile}.new`, pair.key, { mode: 0o600 })
  writeFileSync(`${certFile}.new`, pair.chain, { mode: 0o644 })
  renameSync(`${keyFile}.new`, keyFile)
  renameSync(`${certFile}.new`, certFile)
}
