/**
 * The tower's network: one namespace a host, joined by a bridge in a namespace of its own, with no route out.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RigError, reasonOf } from '../processes/errors.ts'

/** One host of the tower, as its network sees it. */
export interface NetworkHost {
  /** Short name, such as `auth`. */
  readonly name: string
  /** Address on the tower's bridge. */
  readonly ip: string
  /** Names that lead to it, the full one first. */
  readonly names: readonly string[]
}

const NETNS_ETC = '/etc/netns'

/** Raises and removes the namespaces of one tower; two towers stand side by side under different prefixes. */
export class Network {
  readonly #prefix: string
  readonly #hosts: NetworkHost[] = []

  /** @param prefix Begins the name of every namespace; letters and digits, at most 8, since link names are short. */
  constructor(prefix: string) {
    if (!/^[a-z][a-z0-9]{0,7}$/.test(prefix))
      throw new RigError(`prefix ${prefix}: expected up to 8 lower-case letters and digits`)
    this.#prefix = prefix
  }

  /** Makes the bridge. */
  raise(): void {
    const bridge = this.#bridge()
    ip(['netns', 'add', bridge])
    ip(['-n', bridge, 'link', 'add', 'br0', 'type', 'bridge'])
    ip(['-n', bridge, 'link', 'set', 'br0', 'up'])
  }

  /** Adds a host and tells every host its names. */
  add(host: NetworkHost): void {
    const space = this.namespace(host.name)
    ip(['netns', 'add', space])
    ip(['-n', space, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', `p-${host.name}`, 'netns', this.#bridge()])
    ip(['-n', this.#bridge(), 'link', 'set', `p-${host.name}`, 'master', 'br0', 'up'])
    ip(['-n', space, 'link', 'set', 'lo', 'up'])
    ip(['-n', space, 'addr', 'add', `${host.ip}/24`, 'dev', 'eth0'])
    ip(['-n', space, 'link', 'set', 'eth0', 'up'])
    this.#hosts.push(host)
    for (const { name } of this.#hosts) this.#writeEtc(name)
  }

  /**
   * Takes a host off the bridge, or puts it back.
   *
   * @param connected Whether packets pass.
   */
  connect(name: string, connected: boolean): void {
    ip(['-n', this.#bridge(), 'link', 'set', `p-${name}`, connected ? 'up' : 'down'])
  }

  /** Removes a host; its processes must have ended. */
  drop(name: string): void {
    ip(['-n', this.#bridge(), 'link', 'del', `p-${name}`])
    ip(['netns', 'del', this.namespace(name)])
    rmSync(join(NETNS_ETC, this.namespace(name)), { recursive: true, force: true })
    const index = this.#hosts.findIndex((host) => host.name === name)
    if (index >= 0) this.#hosts.splice(index, 1)
  }

  /** Names the namespace of a host. */
  namespace(host: string): string {
    return `${this.#prefix}-${host}`
  }

  /**
   * Words a command so that it runs on a host.
   *
   * `ip netns exec` execs, so the process id is the command's own, and mounts the host's files privately.
   */
  on(host: string, command: readonly string[]): readonly [string, ...string[]] {
    return ['ip', 'netns', 'exec', this.namespace(host), ...command]
  }

  /** Removes every namespace and file of this tower's prefix, also those of a run that crashed. */
  remove(): void {
    for (const space of namespacesOf(this.#prefix)) ip(['netns', 'del', space])
    if (!existsSync(NETNS_ETC)) return
    for (const entry of readdirSync(NETNS_ETC)) {
      if (entry.startsWith(`${this.#prefix}-`)) rmSync(join(NETNS_ETC, entry), { recursive: true, force: true })
    }
  }

  #bridge(): string {
    return `${this.#prefix}-switch`
  }

  #writeEtc(host: string): void {
    const folder = join(NETNS_ETC, this.namespace(host))
    mkdirSync(folder, { recursive: true })
    const lines = this.#hosts.map(({ ip: address, names }) => `${address} ${names.join(' ')}`)
    writeFileSync(join(folder, 'hosts'), `127.0.0.1 localhost\n::1 localhost\n${lines.join('\n')}\n`)
    // Without a server named here, a look-up of any other name fails at once instead of after a time-out.
    writeFileSync(join(folder, 'resolv.conf'), '# no name server\n')
  }
}

/** Lists the namespaces whose name begins with a tower's prefix. */
export function namespacesOf(prefix: string): readonly string[] {
  return ip(['netns', 'list'])
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(`${prefix}-`))
}

/**
 * Says why namespaces cannot be made here.
 *
 * @returns The reason, or `undefined` when they can.
 */
export function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const probe = `probe${process.pid}`
  try {
    ip(['netns', 'add', probe])
    ip(['netns', 'del', probe])
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function ip(args: readonly string[]): string {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const detail = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : reasonOf(error)
    throw new RigError(`ip ${args.join(' ')}: ${detail}`, { cause: error })
  }
}

// A command of its own, `node network.ts PREFIX`: removes what a tower left behind whose process was killed.
if (process.argv[1] === import.meta.filename && process.argv[2] !== undefined) new Network(process.argv[2]).remove()
