/**
 * The command `./test/lab/tower/tower`.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { prepareParts } from '../parts/prepare.ts'
import { requireTowerTools } from '../parts/tower-programs.ts'
import { RigError, reasonOf } from '../processes/errors.ts'
import { askTower, controlSocket, serveControl, stands } from './control.ts'
import { towerHosts } from './hosts.ts'
import { runTowerkeep, startKeeper } from './keeping.ts'
import { whyNoNamespaces } from './network.ts'
import { Tower } from './tower.ts'
import { VERBS, verbHandler } from './verbs.ts'

const READY = 'the tower stands'

// The words of a command for a host are its own, dashes and all.
const argv = process.argv.slice(2)
const runAt = argv.indexOf('run')
const commandAt = runAt < 0 ? argv.length : runAt + 2

const { values, positionals } = parseArgs({
  args: argv.slice(0, commandAt),
  allowPositionals: true,
  options: {
    hosts: { type: 'string', default: '3' },
    keep: { type: 'boolean', default: false },
    prefix: { type: 'string', default: 'tower' },
    all: { type: 'boolean', default: false },
    'default-patience': { type: 'boolean', default: false },
    'two-sites': { type: 'boolean', default: false },
    push: { type: 'string', multiple: true, default: [] },
    watch: { type: 'boolean', default: false },
  },
})

// Who raised a kept tower has gone away, and the other end of both with it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const say = (text: string): void => void process.stdout.write(text)

function help(): number {
  say('usage: ./test/lab/tower/tower VERB [--prefix NAME]\n\n')
  say('  up [--hosts N] [--keep]    raise it; without --keep it stands until Ctrl-C\n')
  say('     --default-patience      the verifier waits a minute for a silent host, not six seconds\n')
  say('     --two-sites             two SPIRE servers, verifiers and registrars, on one PostgreSQL\n')
  say(
    '     --push HOST             in push mode: evidence from its TPM, no certificate, no open Keylime port; repeatable\n',
  )
  say('     --watch                 towerkeep watch runs on host spire: a tampered host is cut off in seconds\n')
  say('  down                       take it down\n')
  say('  run HOST COMMAND…          run a command on a host\n')
  for (const [verb, { words, help: text }] of Object.entries(VERBS)) say(`  ${`${verb} ${words}`.padEnd(26)} ${text}\n`)
  return 0
}

/** Raises a tower in this process and serves its control socket until `down`, Ctrl-C or SIGTERM. */
async function standHere(): Promise<number> {
  const why = whyNoNamespaces()
  if (why !== undefined) throw new RigError(`the tower needs network namespaces: ${why}`)
  if (await stands(values.prefix))
    throw new RigError(`a tower ${values.prefix} stands already; take it down first, or choose another --prefix`)
  const count = Number(values.hosts)
  if (!Number.isInteger(count) || count < 1 || count > 100)
    throw new RigError(`--hosts ${values.hosts}: expected 1 to 100`)
  const names = towerHosts(count).map(({ name }) => name)
  for (const host of values.push)
    if (!names.includes(host)) throw new RigError(`--push ${host}: no such host; expected one of ${names.join(', ')}`)
  const parts = { ...(await prepareParts(process.stdout)), ...(await requireTowerTools(process.stdout)) }
  const { promise: ending, resolve: end } = Promise.withResolvers<void>()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => end())
  const raised = Tower.up({
    parts,
    prefix: values.prefix,
    hosts: count,
    patience: values['default-patience'] ? 'default' : 'short',
    twoSites: values['two-sites'],
    push: values.push,
    webhook: values.watch,
    onPart: (what, seconds) => say(`${seconds.toFixed(1).padStart(6)} s  ${what}\n`),
  })
  const tower = await raised
  if (values.watch) await startKeeper(tower)
  const handle = verbHandler(tower)
  tower.processes.afterwards(['rm', '-f', controlSocket(values.prefix)])
  const server = await serveControl(values.prefix, async (request, write) => {
    if (request.verb !== 'down') return handle(request, write)
    write(await takeDown(tower))
    end()
    return 0
  })
  say((await runTowerkeep(tower, ['status'])).stdout)
  say(`${READY}; logs in ${tower.logDir}\n`)
  await ending
  server.close()
  rmSync(controlSocket(values.prefix), { force: true })
  say(await takeDown(tower))
  return 0
}

/** Takes the tower down; a second call finds nothing left to do. */
async function takeDown(tower: Tower): Promise<string> {
  const began = performance.now()
  await tower.down()
  return `down in ${((performance.now() - began) / 1000).toFixed(1)} s\n`
}

/** Starts a process that holds the tower, and shows its progress until it stands. */
async function standElsewhere(): Promise<number> {
  const args = [import.meta.filename, 'up', '--hosts', values.hosts, '--prefix', values.prefix]
  for (const flag of ['default-patience', 'two-sites', 'watch'] as const) if (values[flag]) args.push(`--${flag}`)
  for (const host of values.push) args.push('--push', host)
  const holder = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  // Its own pipe: a holder that kept ours would keep whoever waits for our output to end.
  holder.stderr.on('data', (text: Buffer) => process.stderr.write(text))
  const ended = once(holder, 'exit')
  for await (const line of createInterface({ input: holder.stdout })) {
    say(`${line}\n`)
    if (!line.startsWith(READY)) continue
    say('look around: ./test/lab/tower/tower status; take it down: ./test/lab/tower/tower down\n')
    holder.stdout.destroy()
    holder.stderr.destroy()
    holder.unref()
    return 0
  }
  await ended
  return 1
}

async function runOnHost(): Promise<number> {
  const host = positionals[1] ?? ''
  const command = argv.slice(commandAt)
  const lines: string[] = []
  await askTower(values.prefix, { verb: 'where', words: [host] }, (text) => lines.push(text))
  const [space = '', socket = ''] = (lines[0] ?? '').trim().split(' ')
  if (socket === '') throw new RigError(lines.join('').trim() || `no host ${host}`)
  const env = {
    ...process.env,
    SPIFFE_ENDPOINT_SOCKET: `unix://${socket}`,
    TPM2TOOLS_TCTI: 'swtpm:host=127.0.0.1,port=2321',
  }
  return spawnSync('ip', ['netns', 'exec', space, ...command], { stdio: 'inherit', env }).status ?? 1
}

async function main(): Promise<number> {
  const [verb = 'help', ...words] = positionals
  if (verb === 'help') return help()
  if (verb === 'up') return values.keep ? standElsewhere() : standHere()
  if (verb === 'run') return runOnHost()
  return askTower(values.prefix, { verb, words: values.all ? ['--all', ...words] : words }, say)
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exitCode = 1
}
