/**
 * step-ca: a certificate renews itself over mutual TLS, with its own key or with a new one.
 *
 * @see smallstep/certificates, api/renew.go, api/rekey.go
 * @module
 */
import * as v from 'valibot'
import { pkiError } from '../pki/pki-error.ts'
import { askJson, type HttpsPlace } from './json-https.ts'
import type { SignedCertificate } from './openbao.ts'

const Answer = v.object({ crt: v.string(), ca: v.optional(v.string()), certChain: v.optional(v.array(v.string())) })
const Failed = v.object({ message: v.string() })

/**
 * Renews the certificate that we present.
 *
 * @param place The CA, with the certificate to renew as the client's.
 * @param csr PEM of a request for a new key; without it the key stays.
 * @param signal The caller's.
 * @returns Certificates.
 * @throws {OperatorError} `TK-PKI-AWAY`, `TK-PKI-DENIED`, `TK-PKI-REFUSED`, `TK-PKI-ANSWER`.
 */
export async function renewAtStepCa(
  place: HttpsPlace,
  csr: string | undefined,
  signal?: AbortSignal,
): Promise<SignedCertificate> {
  const path = csr === undefined ? '/renew' : '/rekey'
  const body = csr === undefined ? {} : { csr }
  const { status, body: answer } = await askJson(place, { method: 'POST', path, body, signal })
  const name = `${place.name} ${place.address}: POST ${path}`
  if (status < 200 || status >= 300) {
    const failed = v.safeParse(Failed, answer)
    const said = failed.success ? `: ${failed.output.message.replaceAll(/\s+/g, ' ').slice(0, 300)}` : ''
    const denied = status === 401 || status === 403
    const next = denied
      ? 'the certificate has expired or its provisioner does not renew; get a first one again'
      : "look at the CA's log"
    throw pkiError(denied ? 'TK-PKI-DENIED' : 'TK-PKI-REFUSED', `${name}: answered ${status}${said}; ${next}`)
  }
  const read = v.safeParse(Answer, answer)
  if (!read.success) throw pkiError('TK-PKI-ANSWER', `${name}: the answer does not have the shape of step-ca's`)
  const { crt, ca, certChain } = read.output
  return { certificate: crt, issuers: certChain?.slice(1) ?? (ca === undefined ? [] : [ca]) }
}
