/**
 * The ground a tower stands on: its folders, its network, and the processes on each host.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newLogDir } from '../parts/cache.ts'
import { openPortal } from '../processes/https.ts'
import { Processes, type ProcessStarter, type RigProcess } from '../processes/processes.ts'
import { Network, type NetworkHost } from './network.ts'

/** Folders, namespaces and processes of one tower. */
export class Ground {
  readonly dir: string
  readonly logDir: string
  readonly processes: Processes
  readonly network: Network
  readonly #running = new Map<string, RigProcess[]>()

  /** @param prefix Begins the names of namespaces and folders. */
  constructor(prefix: string) {
    process.umask(0o077)
    this.dir = mkdtempSync(join(tmpdir(), `${prefix}-`))
    this.logDir = newLogDir(prefix)
    this.processes = new Processes(this.dir, this.logDir)
    this.network = new Network(prefix)
    this.processes.afterwards([process.execPath, join(import.meta.dirname, 'network.ts'), prefix])
  }

  /** Raises the network, once what a crashed run left is gone, with its first hosts. */
  raise(hosts: readonly NetworkHost[]): void {
    this.network.remove()
    this.network.raise()
    for (const host of hosts) this.network.add(host)
  }

  /** Makes a starter whose processes run on a host. */
  on(host: string): ProcessStarter {
    return {
      start: (spec): RigProcess => {
        const [command, ...args] = this.network.on(host, [spec.command, ...(spec.args ?? [])])
        const started = this.processes.start({ ...spec, name: `${host}-${spec.name}`, command, args })
        this.#running.set(host, [...(this.#running.get(host) ?? []), started])
        return started
      },
    }
  }

  /** Names the Unix socket through which the driver sees a host's network. */
  portal(host: string): string {
    return join(this.dir, `${host}.portal`)
  }

  /** Opens the portal of a host. */
  openPortal(host: string): Promise<void> {
    return openPortal(this.on(host), this.portal(host))
  }

  /** Ends a host's processes, and takes it off the network. */
  async drop(host: string): Promise<void> {
    await Promise.all((this.#running.get(host) ?? []).map((running) => running.stop()))
    this.#running.delete(host)
    this.network.drop(host)
  }

  /** Ends every process, and removes namespaces and folders; the logs stay. */
  async clear(): Promise<void> {
    await this.processes.stopAll()
    this.network.remove()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
