/**
 * HTTPS to one of Keylime's services: connections, limits, and failures that are explained.
 *
 * @module
 */

export { HttpsOrigin, type RequestSeen } from './http.ts'
