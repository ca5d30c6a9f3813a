/**
 * A host that is fresh from its maker, taken into a tower with the files that `towerkeep enroll` wrote and nothing else.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { tryCommand } from '../../lab/processes/commands.ts'
import { cleanEnv, type RigProcess } from '../../lab/processes/processes.ts'
import { Supervised } from '../../lab/processes/supervised.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { towerkeepProgram } from '../../lab/tower/keeping.ts'
import type { Tower } from '../../lab/tower/tower.ts'

/** Folders that the node's packages bring. */
const FOLDERS = ['etc/towerkeep', 'run/spire/sockets', 'var/lib/spire/agent', 'var/lib']

/** One such host, with a root folder in place of its disk. */
export interface FreshNode {
  readonly host: TowerHost
  readonly root: string
  /** Starts its Keylime agent with the pair that was made here; it registers. */
  startKeylimeAgent(): Promise<void>
  /** Starts SPIRE's agent with the agent.conf that was put in place, again whenever it ends. */
  startSpireAgent(): void
  /** SPIFFE IDs that a workload of it is given now. */
  identities(): Promise<readonly string[]>
  /** Ends both agents, and takes the host out of the tower. */
  remove(): Promise<void>
}

/**
 * Makes one: TPM and first boot, and nobody knows it.
 *
 * @param spireBin Folder of SPIRE's programs.
 */
export async function freshNode(tower: Tower, spireBin: string): Promise<FreshNode> {
  const host = await tower.raiseNext()
  const root = join(tower.dir, `${host.name}-root`)
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true })
  const home = join(tower.dir, 'hosts', host.name, 'keylime')
  mkdirSync(home, { recursive: true, mode: 0o700 })
  symlinkSync(home, join(root, 'var/lib/keylime'))
  const program = join(spireBin, 'spire-agent')
  let running: RigProcess | undefined
  const agent = new Supervised(`${host.name}'s SPIRE agent`, {
    start: () => {
      const args = ['run', '-config', join(root, 'etc/spire/agent.conf')]
      running = tower.on(host.name).start({ name: 'spire-agent', command: program, args, told: 'leader' })
      return running
    },
    stop: async () => {
      await running?.stop()
    },
  })
  return {
    host,
    root,
    startKeylimeAgent: () => {
      copyPairs(root, host)
      return host.startKeylimeAgent()
    },
    startSpireAgent: () => agent.start(),
    identities: async () => {
      const args = ['api', 'fetch', 'x509', '-socketPath', join(root, 'run/spire/sockets/agent.sock')]
      const { stdout } = await tryCommand(program, args)
      return [...stdout.matchAll(/^SPIFFE ID:\s+(\S+)/gm)].map((match) => match[1] ?? '')
    },
    remove: async () => {
      await agent.pause()
      await tower.removeHost(host.name)
      for (const folder of [root, join(tower.dir, 'hosts', host.name)]) rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The lab's Keylime agent has its files elsewhere than `/etc/keylime`. */
function copyPairs(root: string, { files }: TowerHost): void {
  const pairs = [
    ['agent.crt', files.agentCert],
    ['agent.key', files.agentKey],
    ['plugin.crt', files.pluginCert],
    ['plugin.key', files.pluginKey],
    ['plugin-next.crt', files.pluginNext],
    ['ca-chain.crt', files.chain],
  ] as const
  for (const [name, to] of pairs) {
    const from = join(root, 'etc/keylime/certs', name)
    if (existsSync(from)) copyFileSync(from, to)
  }
}

/**
 * Runs `towerkeep` on a host and kills it as soon as it says something.
 *
 * @param words The command line.
 * @param pattern What it says on standard error.
 * @returns Whether it was killed; it may have ended before.
 */
export function killAt(tower: Tower, host: string, words: readonly string[], pattern: RegExp): Promise<boolean> {
  const [program, ...args] = tower.network.on(host, [towerkeepProgram(), ...words])
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: cleanEnv() })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (pattern.test(said)) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (_code, signal) => resolve(signal === 'SIGKILL'))
  })
}

/** Reads each file of a folder: path in it to content. */
export function textsIn(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).toSorted()
  return new Map(paths.map((path) => [path.slice(folder.length), readFileSync(path, 'utf8')]))
}
