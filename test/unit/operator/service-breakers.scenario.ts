// What can be broken about hosts and services, each so that doctor names it as the only cause.
import { chmodSync } from 'node:fs'
import { fakeEntry } from '../../fakes/fake-spire-server.ts'
import { SoftwareTpm } from '../../fakes/software-tpm.ts'
import type { AgentFields } from '../../fakes/verifier-agent.ts'
import type { Breaker } from './breaking.ts'
import type { FakeMachine } from './machine.ts'

const AGENT = '/etc/keylime/agent.conf'
const CERTS = '/etc/keylime/certs'

/** Changes the verifier's record of a node for the time being; after it the node passes as if nothing had been. */
function recorded(fields: AgentFields): NonNullable<Breaker['breakIt']> {
  return ({ site: { keylime }, agents }) => {
    const { agentId, tpm } = keylime.node(0)
    keylime.verifier.set(agentId, fields)
    return () => keylime.verifier.enrol(agentId, tpm.akTpm, { port: agents[0]?.port })
  }
}

/** Changes what SPIRE knows of a node's agent for the time being. */
function attested(fields: Parameters<FakeMachine['site']['spire']['attest']>[1]): NonNullable<Breaker['breakIt']> {
  return ({ site: { keylime, spire } }) => {
    spire.attest(keylime.node(0).agentId, fields)
    return () => void spire.attest(keylime.node(0).agentId)
  }
}

/** ID of a host that no Keylime knows. */
const GONE = 'a'.repeat(64)

const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds

/** The breakers of services and hosts. */
export const SERVICE_BREAKERS: readonly Breaker[] = [
  {
    what: 'a state that no quote stands behind [P02]',
    check: 'keylime-frozen',
    id: 'TK-KL-NEVER',
    breakIt: recorded({ attestation_count: 0 }),
  },
  {
    what: 'a host that nobody polls any more [P03]',
    check: 'keylime-frozen',
    id: 'TK-KL-FROZEN',
    breakIt: recorded({ last_successful_attestation: secondsAgo(400) }),
  },
  {
    what: 'a host that was just enrolled',
    check: 'keylime-hosts',
    id: 'TK-KL-PENDING',
    breakIt: recorded({ operational_state: 1, attestation_count: 0 }),
  },
  {
    what: 'a record that cannot be read',
    check: 'keylime-hosts',
    id: 'TK-KL-REFUSED',
    breakIt: recorded({ operational_state: 'no number' }),
  },
  {
    what: 'two hosts that are enrolled in one place [P04]',
    check: 'identity-place',
    id: 'TK-ID-SAME-PLACE',
    breakIt: (machine) => recorded({ port: machine.agents[1]?.port })(machine),
  },
  {
    what: 'an agent ID that is the hash of another key [P06]',
    check: 'keylime-hosts',
    id: 'TK-KL-EK-MISMATCH',
    breakIt: async ({ site: { keylime } }) => {
      const { agentId, tpm } = keylime.node(0)
      const other = new SoftwareTpm({ ek: 'ec-p256', slot: 40 })
      const register = async (ek: SoftwareTpm): Promise<void> => {
        const keys = { ek_tpm: ek.ekTpm.toString('base64'), aik_tpm: tpm.akTpm.toString('base64') }
        keylime.registrar.register({ agent_id: agentId, ...keys, ekcert: await keylime.ekCertificateOf(ek) })
      }
      await register(other)
      return () => register(tpm)
    },
  },
  {
    what: 'a SPIRE agent whose SVID has ended [P15]',
    check: 'keylime-hosts',
    id: 'TK-SPIRE-EXPIRED',
    breakIt: attested({ x509svidExpiresAt: BigInt(secondsAgo(60)) }),
  },
  {
    what: 'a banned SPIRE agent of a host that went away [P23]',
    check: 'spire-rubbish',
    id: 'TK-GC-RUBBISH',
    breakIt: ({ site: { spire } }) => {
      spire.attest(GONE, { banned: true })
      return () => void spire.agents.delete(`spiffe://example.org/spire/agent/keylime/${GONE}`)
    },
  },
  {
    what: 'entries that reach no agent [P19]',
    check: 'identity-orphans',
    id: 'TK-ID-ORPHAN',
    breakIt: ({ site: { spire } }) => {
      const parent = `spiffe://example.org/spire/agent/keylime/${GONE}`
      spire.entries.set('e1', fakeEntry('e1', 'spiffe://example.org/workload', parent, ['unix:uid:0']))
      return () => spire.entries.clear()
    },
  },
  {
    what: 'a verifier that speaks no version of ours [P18]',
    check: 'keylime-versions',
    id: 'TK-KL-VERSION',
    breakIt: ({ site: { keylime } }) => {
      keylime.verifier.setVersions(['1.0'])
      return () => keylime.verifier.setVersions(['2.1', '2.2', '2.3', '2.4', '2.5', '2.6'])
    },
  },
  { what: 'a clock that is a minute behind', check: 'clock-verifier', id: 'TK-CLOCK-SKEW', clockMs: -60_000 },
  {
    what: 'a token that others can read [P27]',
    check: 'secrets-tokens',
    id: 'TK-SEC-TOKEN',
    files: ['/root/.vault-token'],
    breakIt: (m) => chmodSync(m.write('/root/.vault-token', 'a token'), 0o644),
  },
  {
    what: 'a Keylime agent that registers over plain HTTP [P22]',
    check: 'net-plain',
    id: 'TK-NET-PLAIN',
    files: [AGENT],
    informs: true,
    breakIt: (m) => m.edit(AGENT, 'registrar_tls_enabled = true', 'registrar_tls_enabled = false'),
  },
  {
    what: 'an agent certificate that the verifier takes for an administrator, by its answer alone [P08]',
    check: 'net-admin',
    id: 'TK-CERT-ADMIN',
    files: [`${CERTS}/agent.crt`, `${CERTS}/agent.key`],
    proves: true,
    breakIt: async (m) => {
      const pair = await m.site.keylime.ca.issue('agent')
      m.write(`${CERTS}/agent.crt`, pair.chainPem)
      m.write(`${CERTS}/agent.key`, pair.keyPem())
    },
  },
  {
    what: 'a pair of this host that another host takes too [P09]',
    check: 'net-cross',
    id: 'TK-NET-CROSS',
    files: ['/etc/spire/plugin.crt', '/etc/spire/plugin.key'],
    proves: true,
    breakIt: async (m) => {
      const pair = await m.agents[1]?.clientCa.issue('plugin.auth', { eku: ['clientAuth'] })
      m.write('/etc/spire/plugin.crt', pair?.pem ?? '')
      m.write('/etc/spire/plugin.key', pair?.keyPem() ?? '')
      // This host's own Keylime agent takes it as well.
      m.write('/etc/spire/clients.crt', m.agents[1]?.clientCa.pem ?? '')
      m.edit(AGENT, `${m.root}/etc/spire/plugin.crt`, `${m.root}/etc/spire/clients.crt`)
    },
  },
]
