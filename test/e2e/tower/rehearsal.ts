/**
 * Runbooks, rehearsed: their command blocks run as they stand, with the commands of a real fleet led to the tower.
 *
 * `towerkeep` is the built program; of its flags only those are given that name paths of the machine, which has no such
 * folders for each host of the tower.
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
import { towerkeepScript } from './rehearsed-towerkeep.ts'

/** One fenced block of a runbook. */
export interface Block {
  /** Where it runs: on a node, or where SPIRE server and Keylime are. */
  readonly on: 'node' | 'services'
  readonly commands: string
  /** Exit code that its first line names; 0 where it names none. */
  readonly exits: number
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
  node: 'node',
  'SPIRE server': 'services',
  'Keylime host': 'services',
}

/** First line of a block: where it runs, and how it ends where that is not 0. */
const FIRST_LINE = /^# on the (?<place>[A-Za-z ]+?)(?:, exits (?<exits>\d+))?$/

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
    const { place = '', exits = '0' } = FIRST_LINE.exec(commands.split('\n')[0] ?? '')?.groups ?? {}
    const on = PLACES[place]
    if (on === undefined) throw new Error(`a block under "${heading}" does not say where it runs: ${commands}`)
    return { on, commands, heading, exits: Number(exits) }
  })
}

/**
 * Runs one block.
 *
 * @param block Its commands: the first that fails ends it.
 */
export function runBlock(options: RehearsalOptions, host: TowerHost, block: Block): Promise<CommandResult> {
  const dir = rehearsalDir(options.tower, host)
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
    towerkeep: towerkeepScript(tower, host, rehearsalDir(tower, host)),
    systemctl: systemctlScript([TOWER, '--prefix', prefix], host),
    'systemd-tmpfiles': 'exit 0',
    // From host to host: `scp -qr FOLDER HOST:`.
    scp: `cp -r "$2" ${quoted([join(tower.dir, 'rehearsal-')])}"\${3%%.*}"/`,
    journalctl: `case "$2" in ${logs.join(' ')} *) exit 1 ;; esac\ncat ${quoted([tower.logDir])}/"$file"`,
  }
}

/** The verbs of systemctl that services and runbooks use, on the units that a host of the tower has. */
function systemctlScript(tower: readonly string[], host: TowerHost): string {
  return `verb="$1"; shift
case "$verb" in
  reboot) exec ${quoted([...tower, 'reboot', host.name])} ;;
  daemon-reload) exit 0 ;;
  enable) [ "$1" = --now ]; shift; verb=start ;;
  try-restart) verb=restart ;;
esac
for unit in "$@"; do
  case "$unit" in *.timer) continue ;; esac
  ${quoted([...tower, 'service', host.name])} "$verb" "\${unit%.service}"
done`
}

/** Names the folder in which the blocks for a host run. */
export function rehearsalDir(tower: Tower, host: TowerHost): string {
  return join(tower.dir, `rehearsal-${host.name}`)
}

/** Words for a shell; none of ours holds a quote. */
function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ')
}

/** Gathers the variables that the runbooks use. */
export function runbookEnv(tower: Tower, node: TowerHost): Readonly<Record<string, string>> {
  const { address, token, keys } = tower.bao.operator
  const known = node.registered ? { AGENT_ID: node.agentId } : {}
  return {
    ...known,
    TRUST_DOMAIN: DOMAIN,
    NODE_NAME: `${node.name}.${DOMAIN}`,
    NODE_IP: node.ip,
    BUNDLE: node.files.bundle,
    BAO_ADDR: address,
    BAO_CACERT: tower.certificates.chain,
    BAO_TOKEN: token,
    UNSEAL_KEYS: keys.slice(0, 3).join(' '),
  }
}
