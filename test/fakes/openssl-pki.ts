// Certificates of every kind that the openssl program can make, where Web Crypto knows five.
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestPki } from './pki.ts'

/** Tells whether the openssl program is installed here. */
export const hasOpenssl = spawnSync('openssl', ['version']).error === undefined

/** A certificate with its key, as files and as text. */
export interface OpensslPair {
  readonly name: string
  readonly certFile: string
  readonly keyFile: string
  readonly pem: string
  readonly keyPem: string
}

/** A kind of key: the name of a curve, with how it is written, or an algorithm of `openssl genpkey`. */
export type OpensslKey =
  | { readonly curve: string; readonly isExplicit?: boolean; readonly isCompressed?: boolean }
  | { readonly algorithm: string; readonly options?: readonly string[] }

/** What is unusual about a certificate. */
export interface OpensslOddity {
  /** Instead of those of its kind, in the words of openssl's configuration. */
  readonly extensions?: readonly string[]
  /** Digest of the signature, such as `sha1`. */
  readonly digest?: string
}

/** Makes certificates in the folder of a test PKI. */
export interface OpensslPki {
  /** Makes a self-signed authority. */
  root(name: string, key: OpensslKey, odd?: OpensslOddity): OpensslPair
  /** Issues a leaf for `localhost` and `127.0.0.1`; keys that cannot sign (X25519) can be certified too. */
  issue(name: string, key: OpensslKey, issuer: OpensslPair, odd?: OpensslOddity): OpensslPair
  /** Issues an authority below another. */
  intermediate(name: string, key: OpensslKey, issuer: OpensslPair, odd?: OpensslOddity): OpensslPair
  /** Certifies an authority's key anew under its own name, signed by another key of that name. */
  crossSign(authority: OpensslPair, by: OpensslPair): OpensslPair
}

const CA = 'basicConstraints=critical,CA:TRUE'
const LEAF = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
const KEY_IDS = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid']

/**
 * Lists the curves that the openssl program knows and can make keys on.
 * @returns Names such as `brainpoolP256r1`.
 */
export function opensslCurves(): readonly string[] {
  const listed = run(['ecparam', '-list_curves'])
  const names = [...listed.matchAll(/^\s*([\w.-]+)\s*:/gm)].map(([, name = '']) => name)
  // These two are listed for their parameters; no key can be named after them.
  return names.filter((name) => !name.startsWith('Oakley-'))
}

/**
 * Starts making certificates.
 * @param pki Where the files go; they go when it goes.
 */
export function newOpensslPki(pki: TestPki): OpensslPki {
  let made = 0
  const newKey = (name: string, key: OpensslKey): string => {
    made += 1
    const file = join(pki.folder, `openssl-${made}-${name.replace(/\W/g, '-')}.key`)
    writeKey(file, key)
    return file
  }
  const certify = (
    { name, keyFile }: { readonly name: string; readonly keyFile: string },
    issuer: Pick<OpensslPair, 'certFile' | 'keyFile'> | undefined,
    usual: readonly string[],
    { extensions = [...usual, ...KEY_IDS], digest = 'sha256' }: OpensslOddity = {},
  ): OpensslPair => {
    made += 1
    const certFile = join(pki.folder, `openssl-${made}-${name.replace(/\W/g, '-')}.crt`)
    const publicFile = `${keyFile}.pub`
    run(['pkey', '-in', keyFile, '-pubout', '-out', publicFile])
    const extensionFile = pki.write(`openssl-${made}.ext`, extensions.join('\n'))
    const signed =
      issuer === undefined
        ? ['-signkey', keyFile]
        : ['-CA', issuer.certFile, '-CAkey', issuer.keyFile, '-CAcreateserial']
    const request = join(pki.folder, `openssl-${made}.csr`)
    const signature = digest === 'sha256' ? [] : [`-${digest}`]
    const own = ['-new', '-force_pubkey', publicFile, '-subj', `/CN=${name}`, '-days', '30', '-extfile', extensionFile]
    if (issuer === undefined) {
      run(['req', '-new', '-key', keyFile, '-subj', `/CN=${name}`, '-out', request])
      run([
        'x509',
        '-req',
        '-in',
        request,
        '-days',
        '30',
        '-extfile',
        extensionFile,
        ...signed,
        ...signature,
        '-out',
        certFile,
      ])
    } else run(['x509', ...own, ...signed, ...signature, '-out', certFile])
    return { name, certFile, keyFile, pem: readFileSync(certFile, 'utf8'), keyPem: readFileSync(keyFile, 'utf8') }
  }
  return {
    root: (name, key, odd) => certify({ name, keyFile: newKey(name, key) }, undefined, [CA], odd),
    issue: (name, key, issuer, odd) => certify({ name, keyFile: newKey(name, key) }, issuer, [LEAF], odd),
    intermediate: (name, key, issuer, odd) => certify({ name, keyFile: newKey(name, key) }, issuer, [CA], odd),
    crossSign: (authority, by) => certify(authority, by, [CA]),
  }
}

function writeKey(file: string, key: OpensslKey): void {
  if ('algorithm' in key) {
    const options = (key.options ?? []).flatMap((option) => ['-pkeyopt', option])
    run(['genpkey', '-algorithm', key.algorithm, ...options, '-out', file])
    return
  }
  const form = ['-conv_form', key.isCompressed === true ? 'compressed' : 'uncompressed']
  const parameters = ['-param_enc', key.isExplicit === true ? 'explicit' : 'named_curve']
  const raw = run(['ecparam', '-name', key.curve, '-genkey', '-noout'])
  writeFileSync(file, run(['ec', ...form, ...parameters], raw))
}

function run(args: readonly string[], input?: string): string {
  return execFileSync('openssl', args, { encoding: 'utf8', input: input ?? '', stdio: ['pipe', 'pipe', 'pipe'] })
}
