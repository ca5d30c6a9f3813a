/**
 * Keylime's words: IDs, errors and their reasons, hosts, deadlines.
 *
 * @module
 */

export { BoundedMap } from './basis/bounded-map.ts'
export { isKeylimeError, KeylimeError, type KeylimeErrorCode } from './basis/errors.ts'
export { FAILURES } from './basis/failure-kinds.ts'
export { type FailureReason, failureReason, isServiceDown } from './basis/failures.ts'
export { formatHostPort, type HostPort, hostProblem, isHost, parseHostPort } from './basis/host-port.ts'
export {
  type AgentId,
  DEFAULT_AGENT_UUID,
  ekUuid,
  isAgentId,
  MAX_AGENT_ID_CHARACTERS,
  parseAgentId,
} from './basis/ids.ts'
export { DEFAULT_MAX_WAITING, Limiter, queueFull } from './basis/limiter.ts'
export type { Log } from './basis/log.ts'
export { cut, nameInOneLine, oneLine } from './basis/printable.ts'
export { SharedWork } from './basis/shared-work.ts'
export {
  abortReason,
  CallerGone,
  type Deadline,
  DeadlinePassed,
  sleep,
  untilAborted,
  withDeadline,
} from './basis/signals.ts'
export { agentState, stateInWords } from './basis/states.ts'
