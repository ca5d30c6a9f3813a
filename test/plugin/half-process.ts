// One half as its own process, started as SPIRE starts it, for tests that only see what SPIRE sees.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type ServiceError, status } from '@grpc/grpc-js'
import type { GoPluginService } from '../../plugins/go-plugin/grpc/guarded-service.ts'
import type { AgentAttributes } from '../../plugins/spire-sdk/gen/spire/plugin/server/nodeattestor/v1/nodeattestor.ts'
import {
  configure,
  initPlugin,
  launchPlugin,
  type PluginProcess,
  type Validation,
  validate,
} from '../../plugins/spire-sdk/testing/index.ts'

/** Trust domain of every test. */
export const TRUST_DOMAIN = 'example.org'

/** What SPIRE gets from one call: a status with its message; from an attestation that succeeds, attributes too. */
export interface Outcome {
  readonly status: keyof typeof status
  readonly message: string
  readonly attributes?: AgentAttributes
}

/** A running half. */
export abstract class HalfProcess implements AsyncDisposable {
  readonly process: PluginProcess

  protected constructor(process: PluginProcess) {
    this.process = process
  }

  configure(hcl: string, trustDomain = TRUST_DOMAIN): Promise<Outcome> {
    return outcomeOf(configure(this.process, { trustDomain, hcl }))
  }

  validate(hcl: string): Promise<Validation> {
    return validate(this.process, { trustDomain: TRUST_DOMAIN, hcl })
  }

  async stop(): Promise<void> {
    await this.process.shutdown()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Configures it, if there is anything to configure; one that refuses is ended. */
  protected async configuredWith(hcl: string | undefined): Promise<this> {
    if (hcl === undefined) return this
    const { status: code, message } = await this.configure(hcl)
    if (code === 'OK') return this
    await this.stop()
    throw new Error(`not configured: ${code} ${message}`)
  }
}

/**
 * Starts a half: `$TOWER_DIST/keylime-attestor-HALF` if that is set, else from its sources.
 *
 * @param options `services`: what the host offers. `announced`: which of its services it names; default: those.
 *   `before`: words before the command, such as those of a shell.
 */
export async function launchHalf(
  half: 'server' | 'agent',
  options: {
    readonly services?: readonly { readonly name: string; readonly service: GoPluginService }[]
    readonly announced?: readonly string[]
    readonly before?: readonly string[] | undefined
  },
): Promise<PluginProcess> {
  const { services = [], announced = services.map(({ name }) => name), before = [] } = options
  const { command, args } = executable(`keylime-attestor-${half}`, `${half}-attestor/main.ts`)
  const [program = command, ...rest] = [...before, command, ...args]
  const cookie = { key: 'NodeAttestor', value: 'NodeAttestor' }
  const launched = await launchPlugin({ command: program, args: rest, cookie })
  await launched.serveHostServices(
    1,
    services.map(({ service }) => service),
  )
  await initPlugin(launched, announced)
  return launched
}

/**
 * Finds how to start a half: the built file under `$TOWER_DIST`, else Node with its source. With `$TOWER_NODE`, a Node.js
 * of another version, it is the built `.cjs` file that runs, under that.
 */
export function executable(
  built: string,
  source: string,
): { readonly command: string; readonly args: readonly string[] } {
  const dist = process.env['TOWER_DIST']
  if (dist === undefined) return { command: process.execPath, args: [resolve(import.meta.dirname, '../..', source)] }
  const other = process.env['TOWER_NODE']
  if (other !== undefined) return { command: other, args: [resolve(dist, `${built}.cjs`)] }
  const command = resolve(dist, built)
  if (!existsSync(command)) throw new Error(`TOWER_DIST is set, but ${command} is missing`)
  return { command, args: [] }
}

/** Turns a call into what SPIRE gets: attributes, or a status with its message. */
export async function outcomeOf(call: Promise<AgentAttributes | void>): Promise<Outcome> {
  try {
    const attributes = await call
    return { status: 'OK', message: '', ...(attributes !== undefined && { attributes }) }
  } catch (error) {
    const { code, details } = error as ServiceError
    if (typeof code !== 'number') throw error
    return { status: status[code] as Outcome['status'], message: details }
  }
}
