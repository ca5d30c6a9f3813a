/**
 * One rig for a test file, and how its tests read SPIRE's logs.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { Rig, type RigOptions } from '../lab/one-host/rig.ts'
import { prepareParts } from '../lab/parts/prepare.ts'
import type { RigProcess } from '../lab/processes/processes.ts'
import type { SpireAgent } from '../lab/services/spire-agent.ts'

/** What a test file asks for; the parts are found by `startHost`. */
export interface HostOptions extends Omit<RigOptions, 'parts'> {
  /** Runs the real Keylime agent that `KEYLIME_AGENT` names; default: only with E2E_AGENT=real, else the stand-in. */
  readonly realAgent?: boolean
}

/**
 * Starts the host of one test file.
 *
 * @param options What differs from a default host.
 * @returns The host; the file's `afterAll` stops it.
 */
export async function startHost(options: HostOptions): Promise<Rig> {
  const { realAgent = process.env.E2E_AGENT === 'real', ...rest } = options
  const parts = await prepareParts(process.stdout, true)
  return Rig.start({ ...rest, parts: realAgent ? parts : { ...parts, realAgent: undefined, realPushAgent: undefined } })
}

/** A refusal as SPIRE's agent logs it. */
export interface Refusal {
  readonly code: string
  /** Our own words, after SPIRE's prefix. */
  readonly message: string
}

const REFUSAL = /code = (\w+) desc = [^"]*?nodeattestor\(keylime\): ((?:\\.|[^"\\])*)"/g

/**
 * Reads the refusals out of a SPIRE agent's log.
 *
 * @returns Each of them, oldest first.
 */
export function refusalsIn(log: string): readonly Refusal[] {
  return [...log.matchAll(REFUSAL)].map(([, code = '', message = '']) => ({
    code,
    message: message.replaceAll('\\"', '"'),
  }))
}

/**
 * Picks lines of a log, so that a failing test shows these and not the whole.
 *
 * @param pattern What a line must match.
 */
export function linesOf(log: string, pattern: RegExp): readonly string[] {
  return log.split('\n').filter((line) => pattern.test(line))
}

/**
 * Starts a SPIRE agent that must be refused, and waits for its first refusal.
 *
 * @param agent The agent, not running.
 */
export async function startAndBeRefused(agent: SpireAgent): Promise<Refusal> {
  agent.start()
  await agent.waitForLog(/nodeattestor\(keylime\): [^\n]*\n/, 60_000)
  const [refusal] = refusalsIn(agent.readLog())
  if (refusal === undefined) throw new Error('the log names the plugin, but shows no refusal')
  return refusal
}

/**
 * Starts a SPIRE agent and waits until it is attested.
 *
 * @param agent The agent, not running.
 */
export async function startAndAttest(agent: SpireAgent): Promise<void> {
  agent.start()
  await agent.healthy()
}

/** Stops a SPIRE agent and forgets its SVID, so that the next test begins anew. */
export async function stopAndForget(agent: SpireAgent): Promise<void> {
  await agent.stop()
  await agent.forget()
}

/** Finds the plugin beside a SPIRE process: the other member of its group. */
export function pluginOf(host: RigProcess): number {
  const plugin = host
    .members()
    .find((pid) => pid !== host.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('keylime-attestor-'))
  if (plugin === undefined) throw new Error(`no plugin beside ${host.name}`)
  return plugin
}
