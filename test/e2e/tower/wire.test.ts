import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type Flow, readFlows, speaks, startCapture, tlsVersion } from '../../lab/tower/capture.ts'
import { SPIRE_PORT } from '../../lab/tower/host.ts'
import { KEYLIME_PORTS } from '../../lab/tower/hosts.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { attestedAgain, onTower, serialOf, svidReturns, useTower } from './scenario.ts'

const AGENT_PORT = 9002
const OPENBAO_PORT = 8200

/** The bus of the software TPM: on the loopback of each host, standing for the wires of a mainboard. */
const TPM_PORTS: ReadonlySet<number> = new Set([2321, 2322])

const TLS_1_2 = 0x0303
const TLS_ALERT = 21

const tower = useTower('twwire')

/** Port of the server's side. */
function serverPort(flow: Flow): number {
  return Math.min(flow.fromPort, flow.toPort)
}

onTower('what passes on the wire', () => {
  it("is TLS, but for Keylime's own registration [T26] [T21] [T22] [T74] [P22]", async () => {
    const line = new Timeline('everything on the bridge and on each loopback written down', ['T21', 'T22', 'T26'])
    const files = new Map<string, string>()
    const begin = async (host: string): Promise<void> => {
      files.set(host, join(tower().dir, `${host}.frames`))
      await startCapture(tower().on(host), files.get(host) ?? '')
    }
    const names = [...tower().hosts.keys()]
    await Promise.all(names.map(begin))
    line.mark(`written down on ${names.join(', ')}`)
    const added = await tower().raiseNext()
    await begin(added.name)
    await tower().admit(added)
    await svidReturns(added)
    line.mark(`${added.name} registered, enrolled, attested; its workload has its SVID`)
    for (const name of names) {
      const host = tower().host(name)
      const serial = await serialOf(tower(), host)
      await tower().spire.evict(host.spiffeId)
      await attestedAgain(tower(), host, serial)
    }
    line.mark('every other host attested again')
    const flows = [...files.values()].flatMap((file) => readFlows(file)).filter(({ bytes }) => bytes.length > 0)
    const network = flows.filter((flow) => !TPM_PORTS.has(serverPort(flow)))
    const byPort = Map.groupBy(network, serverPort)
    const spoken = new Map([...byPort].map(([port, some]) => [port, new Set(some.map(({ bytes }) => speaks(bytes)))]))
    for (const port of [SPIRE_PORT, OPENBAO_PORT, AGENT_PORT, KEYLIME_PORTS.verifier, KEYLIME_PORTS.registrarTls])
      expect({ port, spoken: [...(spoken.get(port) ?? [])] }).toEqual({ port, spoken: ['tls'] })
    const clear = [...spoken].filter(([, languages]) => [...languages].some((language) => language !== 'tls'))
    expect(clear.map(([port]) => port)).toEqual([KEYLIME_PORTS.registrar])
    expect([...(spoken.get(KEYLIME_PORTS.registrar) ?? [])]).toEqual(['http'])
    const encrypted = [...spoken.keys()]
      .filter((port) => port !== KEYLIME_PORTS.registrar)
      .toSorted((one, other) => one - other)
    line.mark(`${network.length} flows: TLS on ${encrypted.join(', ')}; HTTP on ${KEYLIME_PORTS.registrar} alone`)
    // A server that does not take a TLS session up again answers with an alert alone, and is asked anew without one.
    const loopback = network.filter(
      ({ from, fromPort, bytes }) => from === '127.0.0.1' && fromPort === AGENT_PORT && bytes[0] !== TLS_ALERT,
    )
    expect(loopback.length).toBeGreaterThanOrEqual(names.length)
    const older = loopback.filter(({ bytes }) => (tlsVersion(bytes) ?? 0) < TLS_1_2)
    expect(older.map(({ bytes }) => bytes.subarray(0, 60).toString('hex'))).toEqual([])
    line.mark(`agent half → Keylime agent on the loopback: ${loopback.length} connections, all TLS 1.2 or newer`)
    line.end()
  })
})
