/**
 * Where the real parts are that a rig starts.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RigError } from '../processes/errors.ts'

/** Programs and folders, all absolute. */
export interface Parts {
  /** Folder of spire-server and spire-agent. */
  readonly spireBin: string
  /** Folder of keylime_verifier, keylime_registrar and keylime_tenant. */
  readonly keylimeBin: string
  /** A real Keylime agent; without it the stand-in runs. */
  readonly realAgent: string | undefined
  /** A real keylime_push_model_agent, from KEYLIME_PUSH_AGENT. */
  readonly realPushAgent: string | undefined
  /** The two halves. */
  readonly serverPlugin: string
  readonly agentPlugin: string
  /** The two plugins that come alone: `bundle-publisher-keeper` and `key-manager-tpm`. */
  readonly keeper: string
  readonly tpmKeys: string
}

/** Those of them that are ours, or given by a variable. */
type OwnParts = Omit<Parts, 'spireBin' | 'keylimeBin'>

/**
 * Finds our executables (in dist/, or in `PLUGIN_DIR` to try another build), and the real Keylime agents that
 * `KEYLIME_AGENT` and `KEYLIME_PUSH_AGENT` name.
 *
 * @returns Absolute paths.
 * @throws {RigError} The executables are not built, or a variable names no file.
 */
export function ownParts(): OwnParts {
  const dist = resolve(process.env.PLUGIN_DIR || fileURLToPath(new URL('../../../dist', import.meta.url)))
  const serverPlugin = resolve(dist, 'keylime-attestor-server')
  const agentPlugin = resolve(dist, 'keylime-attestor-agent')
  const keeper = resolve(dist, 'bundle-publisher-keeper')
  const tpmKeys = resolve(dist, 'key-manager-tpm')
  for (const file of [serverPlugin, agentPlugin, keeper, tpmKeys]) {
    if (!existsSync(file)) throw new RigError(`${file} is not there: run make build first`)
  }
  const realAgent = givenProgram('KEYLIME_AGENT', 'keylime_agent')
  const realPushAgent = givenProgram('KEYLIME_PUSH_AGENT', 'keylime_push_model_agent')
  return { realAgent, realPushAgent, serverPlugin, agentPlugin, keeper, tpmKeys }
}

function givenProgram(variable: string, program: string): string | undefined {
  const given = process.env[variable]
  if (!given) return undefined
  if (existsSync(given)) return resolve(given)
  throw new RigError(`${variable}=${given} names no file: give the path of a ${program}, or unset it`)
}

/** Says which Keylime agent a run is with: what is shown with one is not shown with the other. */
export function agentInWords(): string {
  return process.env.KEYLIME_AGENT ? 'with a real Keylime agent' : 'with the stand-in for the Keylime agent'
}
