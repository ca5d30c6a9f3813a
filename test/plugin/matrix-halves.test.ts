import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aidAttestation } from '../../plugins/spire-sdk/testing/index.ts'
import { type FakeKeylime, type FakeNodeAgent, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { answerWith, nginxError } from '../fakes/faults.ts'
import { SoftwareTpm } from '../fakes/software-tpm.ts'
import { AgentPlugin } from './agent-plugin.ts'
import { type Outcome, outcomeOf } from './half-process.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let agent: FakeNodeAgent
let serverHalf: ServerPlugin
let agentHalf: AgentPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 2, ak: 'ec-p256' })
  agent = await keylime.startAgent()
  serverHalf = await ServerPlugin.start({ hcl: keylime.serverHcl() })
  agentHalf = await AgentPlugin.start(agent.agentHcl({ wait_for_agent: '0s' }))
})
afterAll(async () => {
  await Promise.all([serverHalf.stop(), agentHalf.stop()])
  await keylime.close()
})

interface PairOutcome extends Outcome {
  /** Which half said so; SPIRE shows the operator that one's words. */
  readonly half: 'agent' | 'server'
}

/** Lets both halves talk to each other as spire-agent and spire-server carry their messages. */
async function attestPair(): Promise<PairOutcome> {
  const challenge = Promise.withResolvers<Uint8Array | undefined>()
  const sent: PromiseWithResolvers<Uint8Array>[] = [Promise.withResolvers(), Promise.withResolvers()]
  const [payload, response] = sent.map(({ promise }) => promise)
  if (payload === undefined || response === undefined) throw new Error('two messages are sent')
  const aided = outcomeOf(
    aidAttestation(agentHalf.process, {
      next: (message, index) => {
        sent[index]?.resolve(message)
        return index === 0 ? challenge.promise : undefined
      },
    }).then(() => undefined),
  )
  const lost = aided.then((outcome) => (outcome.status === 'OK' ? new Promise<never>(() => undefined) : outcome))
  const first = await Promise.race([payload, lost])
  if (!(first instanceof Uint8Array)) return { ...first, half: 'agent' }
  const walk = new AbortController()
  const gone = lost.then(() => {
    throw new Error('the agent half gave up')
  })
  const attested = serverHalf.attest(keylime.node(), {
    payload: first,
    signal: walk.signal,
    answer: (bytes) => {
      challenge.resolve(bytes)
      return Promise.race([response, gone])
    },
  })
  const outcome = await Promise.race([
    attested.then((one): PairOutcome => ({ ...one, half: 'server' })),
    lost.then((one): PairOutcome => ({ ...one, half: 'agent' })),
  ])
  challenge.resolve(undefined)
  walk.abort()
  await Promise.all([attested.catch(() => undefined), aided])
  return outcome
}

type Undo = () => unknown
type Condition = () => Undo | Promise<Undo>

const fields =
  (changes: Readonly<Record<string, unknown>>): Condition =>
  () => {
    const { agentId, tpm } = keylime.node()
    keylime.verifier.enrol(agentId, tpm.akTpm, changes)
    return () => keylime.verifier.enrol(agentId, tpm.akTpm)
  }
const service =
  (name: 'verifier' | 'registrar', status: number): Condition =>
  () => {
    keylime[name].fail('agent', status === 502 ? nginxError(502) : answerWith(status, '{}', 'application/json'))
    return () => keylime[name].clearFaults()
  }

const KEYLIME_SAYS: Readonly<Record<string, Condition>> = {
  healthy: fields({}),
  'state 1': fields({ operational_state: 1 }),
  'count 0': fields({ attestation_count: 0 }),
  stale: fields({ last_successful_attestation: 1_700_000_000 }),
  PENDING: fields({ attestation_status: 'PENDING' }),
  TIMEOUT: fields({ attestation_status: 'TIMEOUT' }),
  unreachable: fields({ operational_state: 7, last_event_id: 'internal.verifier.not_reachable' }),
  'state 7': fields({ operational_state: 7 }),
  'state 9': fields({ operational_state: 9 }),
  'state 10': fields({ operational_state: 10 }),
  FAIL: fields({ attestation_status: 'FAIL' }),
  'push mode': fields({ ip: null, port: null }),
  'not enrolled': () => {
    const { agentId, tpm } = keylime.node()
    keylime.verifier.remove(agentId)
    return () => keylime.verifier.enrol(agentId, tpm.akTpm)
  },
  'verifier 403': service('verifier', 403),
  'verifier 502': service('verifier', 502),
  'registrar 403': service('registrar', 403),
  'registrar 502': service('registrar', 502),
  'verifier down': async () => {
    await keylime.verifier.pause()
    return () => keylime.verifier.resume()
  },
}

const knobs =
  (wrong: Parameters<FakeNodeAgent['setQuoteKnobs']>[0]): Condition =>
  () => {
    agent.setQuoteKnobs(wrong)
    return () => agent.setQuoteKnobs({})
  }
const fault =
  (endpoint: string, what: Parameters<FakeNodeAgent['fail']>[1]): Condition =>
  () => {
    agent.fail(endpoint, what)
    return () => agent.clearFaults()
  }

const stranger = new SoftwareTpm({ ek: 'ec-p256', ak: 'ec-p256' })
const NODE_DOES: Readonly<Record<string, Condition>> = {
  right: () => () => undefined,
  down: async () => {
    await agent.pause()
    return () => agent.resume()
  },
  hangs: async () => {
    agent.fail('quote', { kind: 'hang' })
    await agentHalf.configure(agent.agentHcl({ request_timeout: '300ms', wait_for_agent: '0s' }))
    return () => {
      agent.clearFaults()
      return agentHalf.configure(agent.agentHcl({ wait_for_agent: '0s' }))
    }
  },
  'HTTP 500': fault('quote', answerWith(500, '{"code":500,"status":"no TPM","results":{}}', 'application/json')),
  HTML: fault('info', nginxError(502)),
  'other AK': knobs({ signer: stranger }),
  'other nonce': knobs({ extraData: Buffer.from('A'.repeat(32)) }),
  'other PCRs': knobs({ pcrs: [16, 23] }),
  'other ID': () => {
    const own = keylime.node(0).agentId
    agent.setAgentId(keylime.node(1).agentId)
    return () => agent.setAgentId(own)
  },
}

const SHORT: Readonly<Record<string, string>> = {
  OK: 'ADMITTED',
  PERMISSION_DENIED: 'denied',
  FAILED_PRECONDITION: 'not yet',
  UNAVAILABLE: 'unavailable',
  INTERNAL: 'internal',
}

function cell(text: string): string {
  return text.padEnd(15)
}

describe('both halves against each other', () => {
  it('admit a node only when it is honest and Keylime calls it healthy [T32] [T33] [T60]', async () => {
    const lines = [['', ...Object.keys(NODE_DOES)].map(cell).join('')]
    const messages = new Map<string, string>()
    const admitted: string[] = []
    const agentVerdicts: string[] = []
    for (const [says, sayIt] of Object.entries(KEYLIME_SAYS)) {
      // A new configuration forgets the registrar's record, which is remembered for a minute.
      await serverHalf.configure(keylime.serverHcl())
      const unsay = await sayIt()
      const cells = [says]
      for (const [does, doIt] of Object.entries(NODE_DOES)) {
        const undo = await doIt()
        const { half, status, message } = await attestPair()
        await undo()
        cells.push(`${half === 'agent' ? 'A ' : ''}${SHORT[status] ?? status}`)
        messages.set(`${half} ${status} ${message.replaceAll(/[0-9a-f]{64}/g, '<id>')}`, `${says} / ${does}`)
        if (status === 'OK') admitted.push(`${says} / ${does}`)
        if (half === 'agent' && status === 'PERMISSION_DENIED') agentVerdicts.push(`${says} / ${does}`)
      }
      await unsay()
      lines.push(cells.map(cell).join(''))
    }
    process.stdout.write(`A: said by the agent half\n${lines.join('\n')}\n\n`)
    for (const [text, where] of messages) process.stdout.write(`${where}: ${text}\n`)
    expect(admitted).toEqual(['healthy / right'])
    expect(agentVerdicts).toEqual([])
  }, 180_000)

  it('give a node the same SPIFFE ID before and after its Keylime agent moves from HTTP to HTTPS [T38]', async () => {
    const overTls = await attestPair()
    const plain = await keylime.startAgent(keylime.node(), { tls: false })
    await agentHalf.configure(plain.agentHcl({ keylime_agent_use_tls: false }))
    const overHttp = await attestPair()
    await agentHalf.configure(agent.agentHcl({ wait_for_agent: '0s' }))
    expect(overHttp).toMatchObject({ status: 'OK', attributes: overTls.attributes })
    expect(await attestPair()).toMatchObject({ status: 'OK', attributes: overTls.attributes })
  })

  it('agree on a node whose ID is not its own to claim', async () => {
    const other = newFakeNode(keylime.node(1).agentId, keylime.node(0).tpm)
    expect(await serverHalf.attest(other)).toMatchObject({ status: 'PERMISSION_DENIED' })
    expect(await attestPair()).toMatchObject({ half: 'server', status: 'OK' })
  })
})
