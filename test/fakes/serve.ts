// Runs a fake Keylime installation as a process of its own: node test/fakes/serve.ts '{"nodes": 5000, "paced": true}'
// Prints one JSON line with addresses and files, then answers each line of standard input with its counts: `stats`,
// `reset`, `renew` (a new client certificate), `restart <ms>` (the verifiers are away for so long).
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { type FakeKeylimeOptions, startFakeKeylime } from './fake-keylime.ts'
import { exportNodes } from './fake-node.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as FakeKeylimeOptions & { readonly agents?: number }
const keylime = await startFakeKeylime(options)
const agents = await Promise.all(keylime.nodes.slice(0, options.agents ?? 0).map((node) => keylime.startAgent(node)))

const address = ({ host, port }: { readonly host: string; readonly port: number }): object => ({ host, port })
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`)
const stats = (): object => ({
  verifiers: keylime.verifiers.map((verifier) => verifier.stats),
  registrar: keylime.registrar.stats,
  agents: agents.map((agent) => agent.stats),
})

say({
  verifiers: keylime.verifiers.map(address),
  registrar: address(keylime.registrar),
  agents: agents.map((agent) => ({ ...address(agent), agentId: agent.agentId, hcl: agent.agentHcl() })),
  caFile: keylime.caFile,
  certFile: keylime.certFile,
  keyFile: keylime.keyFile,
  ekCaFile: keylime.ekCaFile,
  nodesFile: keylime.pki.write('nodes.json', JSON.stringify(exportNodes(keylime.nodes))),
  serverHcl: keylime.serverHcl(),
})

const restartVerifiers = async (awayMs: number): Promise<void> => {
  await Promise.all(keylime.verifiers.map((verifier) => verifier.pause()))
  await wait(awayMs)
  await Promise.all(keylime.verifiers.map((verifier) => verifier.resume()))
}

// Ends with its parent: standard input closes when that goes, however it goes.
const lines = createInterface({ input: process.stdin })
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => lines.close())
for await (const line of lines) {
  const [word, argument] = line.split(' ')
  if (word === 'reset') for (const server of [...keylime.verifiers, keylime.registrar, ...agents]) server.resetStats()
  if (word === 'renew')
    keylime.pki.writePair('cv_ca/client', await keylime.ca.issue('client', { key: options.tlsKeys ?? 'ec-p256' }))
  if (word === 'restart') await restartVerifiers(Number(argument))
  say(stats())
}
await keylime.close()
process.exit(0)
