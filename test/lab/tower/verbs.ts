/**
 * The verbs of the command that a standing tower carries out.
 *
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RigError } from '../processes/errors.ts'
import { expire, heal, partition, powerCut, rebootAndHeal, renew, tamper } from './actions.ts'
import type { ControlHandler } from './control.ts'
import { runTowerkeep } from './keeping.ts'
import type { Tower } from './tower.ts'
import { actOnUnit, UNIT_VERBS } from './units.ts'

type Write = (text: string) => void
type Verb = (tower: Tower, words: readonly string[], write: Write) => Promise<number>

const LOG_LINES = 40

/** Each verb, with what it takes and does, in the order of the help text. */
export const VERBS: Readonly<Record<string, { readonly words: string; readonly help: string; readonly run: Verb }>> = {
  status: {
    words: '',
    help: 'show each host as towerkeep status does (exit 2 if one is not well)',
    run: status,
  },
  add: { words: '', help: 'add one more host and attest it', run: addHost },
  tamper: {
    words: 'HOST',
    help: 'extend a pinned PCR, as changed firmware would',
    run: one(async (_, host) => tamper(host)),
  },
  reboot: {
    words: 'HOST',
    help: 'shut it down in order, start it, and have Keylime begin anew if need be',
    run: one(rebootAndHeal),
  },
  powercut: {
    words: 'HOST',
    help: 'pull the plug and start it: the TPM clock jumps back',
    run: one(async (_, host) => powerCut(host)),
  },
  heal: { words: 'HOST', help: 'have Keylime begin anew with a host it failed', run: one(heal) },
  expire: {
    words: 'HOST',
    help: "let its Keylime agent's certificate expire",
    run: one(async (_, host) => expire(host)),
  },
  renew: { words: 'HOST|--all', help: 'issue its certificates anew and restart its Keylime agent', run: one(renew) },
  partition: {
    words: 'HOST [off]',
    help: 'take it off the network; `off` puts it back',
    run: one(async (tower, host, words) => partition(tower, host, words[1] === 'off')),
  },
  evict: {
    words: 'HOST',
    help: 'evict its SPIRE agent, which must then attest again',
    run: one(async (tower, host) => tower.spire.evict(host.spiffeId)),
  },
  service: {
    words: 'HOST DO UNIT',
    help: `${UNIT_VERBS.join(', ')} one of its services, such as spire-agent or keylime_agent`,
    run: service,
  },
  logs: {
    words: 'HOST [PART]',
    help: 'show the end of its logs, or of one part: keylime-agent, spire-agent, swtpm, …',
    run: logs,
  },
  where: { words: 'HOST', help: 'print its namespace and Workload API socket', run: where },
}

/** Makes the handler of a tower's control socket. */
export function verbHandler(tower: Tower): ControlHandler {
  return async ({ verb, words }, write) => {
    const known = VERBS[verb]
    if (known === undefined) throw new RigError(`no verb ${verb}; see: ./test/lab/tower/tower help`)
    return known.run(tower, words, write)
  }
}

function one(act: (tower: Tower, host: ReturnType<Tower['host']>, words: readonly string[]) => Promise<void>): Verb {
  return async (tower, words, write) => {
    const names = words[0] === '--all' ? [...tower.hosts.keys()] : [words[0] ?? '']
    for (const name of names) {
      const began = performance.now()
      await act(tower, tower.host(name), words)
      write(`${name}: done in ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
    }
    return 0
  }
}

async function status(tower: Tower, _words: readonly string[], write: Write): Promise<number> {
  const { code, stdout, stderr } = await runTowerkeep(tower, ['status'])
  write(stdout + stderr)
  return code ?? 1
}

async function addHost(tower: Tower, _words: readonly string[], write: Write): Promise<number> {
  const began = performance.now()
  const host = await tower.addHost()
  write(`${host.name}: attested as ${host.spiffeId} in ${((performance.now() - began) / 1000).toFixed(1)} s\n`)
  return 0
}

async function service(tower: Tower, words: readonly string[], write: Write): Promise<number> {
  const [name = '', verb = '', unit = ''] = words
  write(await actOnUnit(tower, tower.host(name), verb, unit))
  return 0
}

async function logs(tower: Tower, words: readonly string[], write: Write): Promise<number> {
  const [name = '', part] = words
  tower.host(name)
  const begin = part === undefined ? `${name}-` : `${name}-${part}`
  for (const file of readdirSync(tower.logDir).filter((entry) => entry.startsWith(begin))) {
    const lines = readFileSync(join(tower.logDir, file), 'utf8').trimEnd().split('\n').slice(-LOG_LINES)
    write(`== ${join(tower.logDir, file)}\n${lines.join('\n')}\n`)
  }
  return 0
}

async function where(tower: Tower, words: readonly string[], write: Write): Promise<number> {
  const host = tower.host(words[0] ?? '')
  write(`${tower.network.namespace(host.name)} ${host.spire.target.socketPath}\n`)
  return 0
}
