import { X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tryCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { startEnvoy } from '../../lab/services/envoy.ts'
import { startStepCa } from '../../lab/services/step-ca.ts'
import { tamper } from '../../lab/tower/actions.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { onTower, svidGoes, svidReturns, towerParts, useTower } from './scenario.ts'

const NODE_PORT = 7001
const ENVOY_PORT = 7002
const STEP_CA_PORT = 9443
const STEP_CA_NAME = `ca.${DOMAIN}`

const tower = useTower('twmesh')
const workloadFile = join(import.meta.dirname, '..', '..', 'lab', 'tower', 'workload.ts')
const idOf = (host: TowerHost): string => `spiffe://${DOMAIN}/workload/${host.name}`

/** Fetches a workload's SVID with its key into a folder, as a workload without a library does. */
async function svidInto(host: TowerHost): Promise<string> {
  const dir = join(tower().dir, `svid-${host.name}`)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const program = join((await towerParts()).spireBin, 'spire-agent')
  const args = ['api', 'fetch', 'x509', '-socketPath', host.spire.target.socketPath, '-write', dir]
  await pollUntil(`an SVID on ${host.name}`, async () => (await tryCommand(program, args)).code === 0)
  return dir
}

async function call(from: TowerHost, port: number, to: TowerHost): Promise<{ code: number | null; stdout: string }> {
  const words = [process.execPath, workloadFile, 'call', await svidInto(from), to.ip, String(port), idOf(to)]
  const [command, ...args] = tower().network.on(from.name, words)
  return tryCommand(command, args)
}

onTower('workloads of attested hosts', () => {
  it('talk mutual TLS with their SVIDs, and turn away a workload that is somebody else', async () => {
    const [auth, ca, spire] = [tower().host('auth'), tower().host('ca'), tower().host('spire')]
    await Promise.all([auth, ca, spire].map((host) => svidReturns(host)))
    const line = new Timeline('two workloads over mutual TLS', ['T59'])
    const server = tower()
      .on('auth')
      .start({
        name: 'workload',
        command: process.execPath,
        args: [workloadFile, 'serve', await svidInto(auth), String(NODE_PORT), idOf(ca)],
      })
    await pollUntil('the workload to listen', () => server.readLog().includes('Listening'), { logFile: server.logFile })
    expect(await call(ca, NODE_PORT, auth)).toMatchObject({ code: 0, stdout: `hello ${idOf(ca)}\n` })
    line.mark('ca’s workload calls auth’s: both show their SVIDs')
    expect((await call(spire, NODE_PORT, auth)).code).toBe(1)
    line.mark('spire’s workload is turned away: it is somebody else')
    line.end()
  })

  it('are served by Envoy with SVIDs straight from the SPIRE agent, until their host is cut off [T53] [T68]', async () => {
    const [auth, ca, spire] = [tower().host('auth'), tower().host('ca'), tower().host('spire')]
    const line = new Timeline('Envoy by SDS, then its host is cut off', ['T53', 'T68'])
    const { envoy } = await towerParts()
    startEnvoy(tower().on('auth'), {
      program: envoy,
      dir: join(tower().dir, 'envoy'),
      socketPath: auth.spire.target.socketPath,
      port: ENVOY_PORT,
      trustDomain: DOMAIN,
      ownId: idOf(auth),
      peerIds: [idOf(ca)],
    })
    const hello = async (from: TowerHost): Promise<string> => {
      const dir = await svidInto(from)
      const files = [
        '--cert',
        join(dir, 'svid.0.pem'),
        '--key',
        join(dir, 'svid.0.key'),
        '--cacert',
        join(dir, 'bundle.0.pem'),
      ]
      const name = `auth.${DOMAIN}`
      const words = [
        'curl',
        '-sS',
        '--max-time',
        '5',
        '--connect-to',
        `${name}:443:${auth.ip}:${ENVOY_PORT}`,
        ...files,
        `https://${name}/`,
      ]
      const [command, ...args] = tower().network.on(from.name, words)
      const { stdout, stderr } = await tryCommand(command, args)
      return stdout + stderr
    }
    await pollUntil('Envoy to serve', async () => (await hello(ca)).includes('hello from envoy'), {
      deadlineMs: 60_000,
    })
    line.mark('ca’s workload reaches Envoy on auth')
    expect(await hello(spire)).not.toContain('hello')
    line.mark('spire’s workload is turned away')
    await tamper(auth)
    await tower().keylime.admin.waitForState(auth.agentId, 'rejected')
    await tower().spire.evict(auth.spiffeId)
    await svidGoes(auth)
    line.mark('auth is tampered with and evicted: no SVID for its workloads any more')
    await pollUntil('Envoy to be without a valid SVID', async () => !(await hello(ca)).includes('hello from envoy'), {
      deadlineMs: 120_000,
      intervalMs: 1_000,
    })
    line.mark('Envoy’s last SVID has ended: nobody talks to auth')
    line.end()
  })

  it('can also get a certificate by ACME from the second CA below the same root', async () => {
    const { stepCa } = await towerParts()
    const started = startStepCa(tower().on('ca'), tower().root, {
      program: stepCa,
      dir: join(tower().dir, 'step-ca'),
      name: STEP_CA_NAME,
      port: STEP_CA_PORT,
    })
    await pollUntil('step-ca to serve', () => started.readLog().includes('Serving HTTPS'), {
      logFile: started.logFile,
      abort: () => started.requireRunning(),
    })
    const order = join(import.meta.dirname, '..', '..', 'lab', 'tower', 'acme-order.ts')
    const name = `spire.${DOMAIN}`
    const words = [process.execPath, order, `https://${STEP_CA_NAME}:${STEP_CA_PORT}/acme/acme/directory`, name]
    const [command, ...args] = tower().network.on('spire', words)
    const { code, stdout, stderr } = await tryCommand(command, args, {
      env: { NODE_EXTRA_CA_CERTS: join(tower().dir, 'step-ca', 'root.crt') },
    })
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    const certificate = new X509Certificate(stdout)
    expect(certificate.subjectAltName).toBe(`DNS:${name}`)
    expect(certificate.issuer).toContain('Sword of Omens')
  })
})
