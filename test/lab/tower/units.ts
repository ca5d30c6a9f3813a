/**
 * The services of a host under the names their units have: what `systemctl` does to them elsewhere.
 *
 * @module
 */
import { RigError } from '../processes/errors.ts'
import type { TowerHost } from './host.ts'
import type { Tower } from './tower.ts'

/** One service that can be started and stopped. */
interface Unit {
  start(): Promise<void>
  stop(): Promise<void>
  /** How it is, in a word or two. */
  state(): string
}

/** What can be done to a unit. */
export const UNIT_VERBS = ['start', 'stop', 'restart', 'status'] as const

/**
 * Does something to a service of a host.
 *
 * @param name `keylime_agent` or `spire-agent`; on host `spire` also `keylime_verifier`, `keylime_registrar`,
 *   `spire-server`, and `keylime_verifier-push` where a host is in push mode.
 * @throws {RigError} No such verb, or no such unit on this host.
 */
export async function actOnUnit(tower: Tower, host: TowerHost, verb: string, name: string): Promise<string> {
  const unit = unitsOf(tower, host).get(name)
  if (unit === undefined)
    throw new RigError(`${host.name} has no unit ${name}; it has ${[...unitsOf(tower, host).keys()].join(', ')}`)
  if (!UNIT_VERBS.some((known) => known === verb))
    throw new RigError(`cannot ${verb} a unit; expected ${UNIT_VERBS.join(', ')}`)
  if (verb === 'stop' || verb === 'restart') await unit.stop()
  if (verb === 'start' || verb === 'restart') await unit.start()
  return `${name}: ${unit.state()}\n`
}

function unitsOf(tower: Tower, host: TowerHost): ReadonlyMap<string, Unit> {
  const own: readonly (readonly [string, Unit])[] = [
    ['keylime_agent', keylimeAgent(host)],
    ['spire-agent', spireAgent(tower, host)],
  ]
  return new Map(host.name === 'spire' ? [...own, ...services(tower)] : own)
}

function keylimeAgent(host: TowerHost): Unit {
  return {
    start: () => host.startKeylimeAgent(),
    stop: () => host.stopKeylimeAgent(),
    state: () => (host.registered ? 'registered' : 'never started'),
  }
}

function spireAgent(tower: Tower, host: TowerHost): Unit {
  return {
    start: async () => (host.hasSpireAgent ? host.spire.start() : host.startSpireAgent(tower.bundleFile)),
    stop: async () => (host.hasSpireAgent ? host.spire.pause() : undefined),
    state: () => (host.hasSpireAgent ? `started ${host.spire.starts} times` : 'never started'),
  }
}

function services(tower: Tower): readonly (readonly [string, Unit])[] {
  const keylime = (name: 'verifier' | 'registrar', of = tower.keylime): Unit => ({
    start: () => of.start(name),
    stop: () => of.stop(name),
    state: () => 'done',
  })
  const { pushKeylime } = tower.first
  const server: Unit = { start: () => tower.spire.start(), stop: () => tower.spire.stop(), state: () => 'done' }
  return [
    ['keylime_verifier', keylime('verifier')],
    ['keylime_registrar', keylime('registrar')],
    ['spire-server', server],
    ...(pushKeylime === undefined ? [] : [['keylime_verifier-push', keylime('verifier', pushKeylime)] as const]),
  ]
}
