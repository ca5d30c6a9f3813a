/**
 * Runbooks, rehearsed: their command blocks run as they stand, with the commands of a real fleet led to the tower.
 *
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type CommandResult, tryCommand } from '../../lab/processes/commands.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import type { Tower } from '../../lab/tower/tower.ts'
import type { TowerParts } from '../../lab/tower/tower-options.ts'

/** One fenced block of a runbook. */
export interface Block {
  /** Where it runs: on a node, or where SPIRE server and Keylime are. */
  readonly on: 'node' | 'services'
  readonly commands: string
  /** The heading it stands under. */
  readonly heading: string
}

/** What a rehearsal needs. */
export interface RehearsalOptions {
  readonly tower: Tower
  /** The tower's prefix: its control socket must be served. */
  readonly prefix: string
  readonly parts: TowerParts
  /** Variables that the runbooks use. */
  readonly env: Readonly<Record<string, string>>
}

const PLACES: Readonly<Record<string, Block['on']>> = {
  '# on the node': 'node',
  '# on the SPIRE server': 'services',
  '# on the Keylime host': 'services',
}

const TOWER = resolve(import.meta.dirname, '..', '..', 'lab', 'tower', 'tower')

/** Longest a block may take: waiting for a node is part of some. */
const BLOCK_SECONDS = 120

/** Log file of a unit, after the host's name. */
const LOGS: Readonly<Record<string, string>> = {
  'spire-agent': 'spire-agent',
  'spire-server': 'spire-server',
  keylime_agent: 'keylime-agent',
  keylime_verifier: 'verifier',
  keylime_registrar: 'registrar',
}

/**
 * Cuts a runbook into its command blocks.
 *
 * @returns In order.
 * @throws {Error} A block does not say where it runs.
 */
export function blocksOf(markdown: string): readonly Block[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(({ 1: commands = '', index }) => {
    const heading = [...markdown.slice(0, index).matchAll(/^## (.*)$/gm)].at(-1)?.[1] ?? ''
    const on = PLACES[commands.split('\n')[0] ?? '']
    if (on === undefined) throw new Error(`a block under "${heading}" does not say where it runs: ${commands}`)
    return { on, commands, heading }
  })
}

/**
 * Runs one block.
 *
 * @param block Its commands: the first that fails ends it.
 */
export function runBlock(options: RehearsalOptions, host: TowerHost, block: Block): Promise<CommandResult> {
  const dir = join(options.tower.dir, `rehearsal-${host.name}`)
  const bin = join(dir, 'bin')
  mkdirSync(bin, { recursive: true, mode: 0o700 })
  for (const [name, script] of Object.entries(standIns(options, host))) {
    writeFileSync(join(bin, name), `#!/usr/bin/env bash\nset -euo pipefail\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const bounded = ['timeout', String(BLOCK_SECONDS), 'bash', '-euo', 'pipefail', '-c', block.commands]
  const words = options.tower.network.on(host.name, bounded)
  const [command, ...args] = words
  const env = { ...options.env, PATH: `${bin}:${process.env.PATH ?? ''}`, TPM2TOOLS_TCTI: host.measured.tpm.tcti }
  return tryCommand(command, args, { cwd: dir, env, timeoutMs: (BLOCK_SECONDS + 10) * 1000 })
}

/** What each command of a real fleet is here. Everything else is itself: openssl, curl, tpm2_pcrread, grep, mv. */
function standIns({ tower, prefix, parts }: RehearsalOptions, host: TowerHost): Readonly<Record<string, string>> {
  const keylimeEnv = Object.entries(tower.keylime.env).map(([name, value]) => `${name}=${value}`)
  const logs = Object.entries(LOGS).map(([unit, part]) => `${unit}) file='${host.name}-${part}.log' ;;`)
  return {
    bao: `exec ${quoted([parts.bao])} "$@"`,
    keylime_tenant: `exec env ${quoted([...keylimeEnv, join(parts.keylimeBin, 'keylime_tenant')])} "$@"`,
    'spire-server': `exec ${quoted([join(parts.spireBin, 'spire-server')])} "$@" -socketPath ${quoted([tower.spire.socketPath])}`,
    'spire-agent': `exec ${quoted([join(parts.spireBin, 'spire-agent')])} "$@" -socketPath ${quoted([host.workloadSocket])}`,
    systemctl: [
      `if [ "$1" = reboot ]; then exec ${quoted([TOWER, '--prefix', prefix, 'reboot', host.name])}; fi`,
      `exec ${quoted([TOWER, '--prefix', prefix, 'service', host.name])} "$@"`,
    ].join('\n'),
    journalctl: `case "$2" in ${logs.join(' ')} *) exit 1 ;; esac\ncat ${quoted([tower.logDir])}/"$file"`,
  }
}

/** Words for a shell; none of ours holds a quote. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ')
}

/** Gathers the variables that the runbooks use. */
export function runbookEnv(tower: Tower, node: TowerHost, on: Block['on']): Readonly<Record<string, string>> {
  const { address, token, keys } = tower.bao.operator
  const known = node.registered ? { AGENT_ID: node.agentId, SPIFFE_ID: node.spiffeId } : {}
  return {
    ...known,
    TRUST_DOMAIN: DOMAIN,
    NODE_NAME: on === 'node' ? `${node.name}.${DOMAIN}` : `spire.${DOMAIN}`,
    NODE_IP: node.ip,
    CERTS: on === 'node' ? node.files.certDir : tower.certificates.dir,
    CHAIN: tower.certificates.chain,
    BUNDLE: node.files.bundle,
    BAO_ADDR: address,
    BAO_CACERT: tower.certificates.chain,
    BAO_TOKEN: token,
    UNSEAL_KEYS: keys.slice(0, 3).join(' '),
  }
}
