/**
 * Private keys from PEM text: PKCS#8, SEC1 (EC) and PKCS#1 (RSA); a key under a passphrase is refused with the way out.
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readPem } from './pem.ts'

/** The key, or one sentence, without the path, about why there is none. */
export type PrivateKeyRead = { readonly key: KeyObject; readonly pem: string } | { readonly problem: string }

/** Keys of other programs, by label, and the way out. */
const FOREIGN_KEYS: Readonly<Record<string, string>> = {
  'OPENSSH PRIVATE KEY':
    'is a key in the form of OpenSSH, expected PKCS#8, SEC1 or PKCS#1; rewrite a copy of it: ssh-keygen -p -N "" -m PKCS8 -f COPY',
  'TSS2 PRIVATE KEY':
    'is a key that only a TPM can use (TSS2), which is not supported here; have a certificate issued for a key in a file',
  'TSS2 KEY BLOB':
    'is a key that only a TPM can use (TSS2), which is not supported here; have a certificate issued for a key in a file',
}

/**
 * Reads the first private key of a PEM text.
 *
 * @param text Contents of one file.
 * @returns The key and its PEM block, or the problem.
 */
export function readPrivateKey(text: string): PrivateKeyRead {
  const { blocks, problems } = readPem(text)
  const block = blocks.find(({ label }) => label.endsWith('PRIVATE KEY') || label in FOREIGN_KEYS)
  if (block === undefined) {
    if (problems[0] !== undefined) return { problem: problems[0] }
    return { problem: `holds no private key, only ${[...new Set(blocks.map(({ label }) => label))].join(', ')}` }
  }
  const foreign = FOREIGN_KEYS[block.label]
  if (foreign !== undefined) return { problem: foreign }
  if (block.encrypted || block.label === 'ENCRYPTED PRIVATE KEY') {
    return {
      problem:
        'is encrypted, and there is nobody to type its passphrase; ' +
        'write it without one: openssl pkey -in ENCRYPTED -out PLAIN',
    }
  }
  try {
    return { key: createPrivateKey({ key: block.pem, format: 'pem' }), pem: block.pem }
  } catch {
    // OpenSSL's own text can hold nothing of use here, and must not hold anything of the key.
    return { problem: `holds a ${block.label} that cannot be parsed: half written or damaged` }
  }
}

/**
 * Names a key's kind for messages.
 *
 * @param key Public or private key.
 * @returns Such as `EC prime256v1` or `RSA 2048`.
 */
export function keyInWords(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  const type = (key.asymmetricKeyType ?? 'unknown').toUpperCase()
  return `${type} ${namedCurve ?? modulusLength ?? ''}`.trim()
}
