// A real nginx in front of the fake Keylime services, as operators put one there.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { nginxProgram } from '../lab/parts/debian-archive.ts'
import { freePorts } from '../lab/processes/ports.ts'

const PROGRAM = nginxProgram()

/** Whether nginx is installed here, or was fetched by the set-up. */
export const hasNginx = PROGRAM !== undefined

/** A running nginx. */
export interface Nginx extends AsyncDisposable {
  readonly port: number
  /** Reads its configuration again, as `systemctl reload nginx` does after a certificate renewal. */
  reload(): Promise<void>
}

/**
 * Starts nginx.
 * @param servers Makes the `server { ... }` blocks for a port on 127.0.0.1.
 */
export async function startNginx(servers: (port: number) => string): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'tower-nginx-'))
  const port = await freePorts()
  mkdirSync(join(folder, 'logs'))
  const config = join(folder, 'nginx.conf')
  writeFileSync(config, configuration(folder, servers(port)))
  const child = spawn(PROGRAM ?? 'nginx', ['-p', folder, '-c', config], { stdio: 'ignore' })
  await untilListening(port, child, join(folder, 'logs', 'error.log'))
  return {
    port,
    reload: async () => {
      const before = workersOf(child)
      child.kill('SIGHUP')
      while (workersOf(child).every((pid) => before.includes(pid))) await wait(5)
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configuration(folder: string, servers: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  return `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off;
    worker_processes 1;
    pid ${folder}/nginx.pid;
    error_log ${folder}/logs/error.log;
    events { worker_connections 256; }
    http {
      access_log off;
      ${temporary.join('\n      ')}
      ${servers}
    }`
}

async function untilListening(port: number, child: ChildProcess, log: string): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await wait(10)
  }
  throw new Error(`nginx did not start: ${readFileSync(log, 'utf8')}`)
}

function workersOf({ pid }: ChildProcess): readonly string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return children.split(' ').filter((child) => child !== '')
}
