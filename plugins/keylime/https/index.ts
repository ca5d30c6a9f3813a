/**
 * HTTPS to one of Keylime's services: connections, limits, and failures that are explained.
 *
 * @module
 */

export type { Dial } from './connect.ts'
export { HttpsOrigin, type HttpsOriginOptions, type RequestSeen } from './http.ts'
export { connectWithCare, describeNoPeer, presentedBy } from './peer-certificates.ts'
