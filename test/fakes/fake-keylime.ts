// A whole fake Keylime installation: certificates on disk, verifiers, registrar, nodes, and the HCL that reaches them.

import { issueEkCertificate, newEkCa } from './ek-certificate.ts'
import { type FakeAgent, startFakeAgent } from './fake-agent.ts'
import { type FakeNode, newFakeNodes } from './fake-node.ts'
import { type FakeRegistrar, startFakeRegistrar } from './fake-registrar.ts'
import { type FakeVerifier, startFakeVerifier } from './fake-verifier.ts'
import type { KeylimeRelease } from './keylime-release.ts'
import { newTestPki, type TestCa, type TestPki } from './pki.ts'
import type { KeyKind } from './pki-keys.ts'
import { SoftwareTpm } from './software-tpm.ts'
import type { BankHash } from './tpm-bytes.ts'
import type { AgentFields } from './verifier-agent.ts'

/** Sets up an installation; everything has a default. */
export interface FakeKeylimeOptions {
  /** Enrolled and healthy nodes. Default 1. */
  readonly nodes?: number
  /** TPMs that the nodes share. Default 4 at most. */
  readonly tpms?: number
  /** Kind of AK. Default `rsa-2048`. */
  readonly ak?: KeyKind
  readonly hash?: BankHash
  /** Kind of TLS keys. Default `ec-p256`; Keylime's own CA and agents make `rsa-2048`. */
  readonly tlsKeys?: KeyKind
  readonly release?: KeylimeRelease
  /** How many verifiers; nodes are enrolled at the first. Default 1. */
  readonly verifiers?: number
  readonly pushMode?: boolean
  /** Serves requests one at a time with the real service times. */
  readonly paced?: boolean
  /** Gives the registered nodes an EK certificate of a fake vendor. */
  readonly ekCertificates?: boolean
  /** Policy every node is enrolled with. Default: a mask of nothing. */
  readonly tpmPolicy?: string
  readonly now?: () => number
}

/** Says values of an HCL configuration. */
export type HclValues = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** A running installation. */
export interface FakeKeylime extends AsyncDisposable {
  readonly pki: TestPki
  /** CA of verifier, registrar and their clients, as Keylime's `cv_ca`. */
  readonly ca: TestCa
  /** Vendor of the EK certificates: PEM file of root and issuer, with `ekCertificates`. */
  readonly ekCaFile: string
  /** Issues the vendor's certificate for a TPM, base64 of its DER. */
  ekCertificateOf(tpm: SoftwareTpm): Promise<string>
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  readonly verifiers: readonly FakeVerifier[]
  /** The first verifier. */
  readonly verifier: FakeVerifier
  readonly registrar: FakeRegistrar
  readonly nodes: readonly FakeNode[]
  /** Gives the n-th node; throws where there is none. */
  node(index?: number): FakeNode
  /** Registers a node, and enrols it at the first verifier, attested a second ago unless its fields say otherwise. */
  enrol(node: FakeNode, fields?: AgentFields): void
  /** Starts the Keylime agent of a node, with a self-signed certificate and its own CA for clients. */
  startAgent(node?: FakeNode, options?: { readonly tls?: boolean }): Promise<FakeNodeAgent>
  /** Configuration of the server half for this installation; extra keys replace those of the same name. */
  serverHcl(extra?: HclValues): string
  close(): Promise<void>
}

/** A node's running Keylime agent with the files that reach it. */
export interface FakeNodeAgent extends FakeAgent {
  readonly caFile: string
  readonly clientCertFile: string
  readonly clientKeyFile: string
  /** Issues further client certificates that the agent accepts. */
  readonly clientCa: TestCa
  /** Configuration of the agent half. */
  agentHcl(extra?: HclValues): string
}

/**
 * Starts verifiers, registrar and nodes.
 * @returns The installation; `close` (or `await using`) stops it and removes its files.
 */
export async function startFakeKeylime(options: FakeKeylimeOptions = {}): Promise<FakeKeylime> {
  const { nodes: count = 1, tlsKeys = 'ec-p256', release = '7.14.3', now } = options
  const pki = newTestPki()
  const ca = await pki.root('Keylime Certificate Authority', { key: tlsKeys })
  const [server, client] = [await ca.issue('server', { key: tlsKeys }), await ca.issue('client', { key: tlsKeys })]
  const caFile = pki.write('cv_ca/cacert.crt', ca.pem, 0o644)
  const { certFile, keyFile } = pki.writePair('cv_ca/client', client)

  const shared = {
    ...(now !== undefined && { now }),
    ...(options.paced !== undefined && { paced: options.paced }),
    release,
  }
  const tls = { cert: server.pem, key: server.keyPem(), ca: ca.pem }
  const registrar = await startFakeRegistrar({ ...shared, tls: { ...tls, clientCertificates: 'optional' } })
  const newVerifier = (): Promise<FakeVerifier> =>
    startFakeVerifier({ ...shared, tls, ...(options.pushMode !== undefined && { pushMode: options.pushMode }) })
  const verifier = await newVerifier()
  const others = await Promise.all(Array.from({ length: (options.verifiers ?? 1) - 1 }, newVerifier))
  const verifiers = [verifier, ...others]

  const tpms = Array.from({ length: Math.min(options.tpms ?? 4, count) }, (_, slot) => {
    const { ak, hash } = options
    return new SoftwareTpm({
      ek: 'ec-p256',
      slot,
      ...(ak !== undefined && { ak }),
      ...(hash !== undefined && { hash }),
    })
  })
  const nodes = newFakeNodes(count, tpms)
  const ekCa = await newEkCa(pki)
  const ekCaFile = pki.write('ek-ca.pem', ekCa.root.pem + ekCa.issuer.pem, 0o644)
  const ekCertificates = new Map<SoftwareTpm, string>()
  const ekCertificateOf = async (tpm: SoftwareTpm): Promise<string> =>
    (await issueEkCertificate(ekCa.issuer, tpm)).x509.raw.toString('base64')
  for (const tpm of options.ekCertificates === true ? tpms : []) ekCertificates.set(tpm, await ekCertificateOf(tpm))
  const enrol = ({ agentId, tpm }: FakeNode, fields: AgentFields = {}): void => {
    verifier.enrol(agentId, tpm.akTpm, fields)
    registrar.register({
      agent_id: agentId,
      ek_tpm: tpm.ekTpm.toString('base64'),
      ekcert: ekCertificates.get(tpm) ?? null,
      aik_tpm: tpm.akTpm.toString('base64'),
    })
  }
  const policy = options.tpmPolicy === undefined ? {} : { tpm_policy: options.tpmPolicy }
  for (const node of nodes) enrol(node, policy)

  const agents: FakeAgent[] = []
  const close = async (): Promise<void> => {
    await Promise.all([...verifiers, registrar, ...agents].map((one) => one.close()))
    pki.remove()
  }
  const node = (index = 0): FakeNode => {
    const found = nodes[index]
    if (found === undefined) throw new Error(`no node ${index}`)
    return found
  }
  return {
    pki,
    ca,
    ekCaFile,
    ekCertificateOf,
    caFile,
    certFile,
    keyFile,
    verifiers,
    verifier,
    registrar,
    nodes,
    node,
    enrol,
    startAgent: async (of = node(), { tls: isTls = true } = {}) => {
      const agent = await startNodeAgent(pki, of, { isTls, key: tlsKeys, name: `agent-${agents.length}` })
      agents.push(agent)
      return agent
    },
    serverHcl: (extra = {}) =>
      hcl({
        keylime_verifier_host: verifier.host,
        keylime_verifier_port: verifier.port,
        keylime_registrar_host: registrar.host,
        keylime_registrar_port: registrar.port,
        keylime_tls_ca_cert_file: caFile,
        keylime_tls_cert_file: certFile,
        keylime_tls_key_file: keyFile,
        ...extra,
      }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function startNodeAgent(
  pki: TestPki,
  node: FakeNode,
  { isTls, key, name }: { readonly isTls: boolean; readonly key: KeyKind; readonly name: string },
): Promise<FakeNodeAgent> {
  const own = await pki.selfSigned(node.agentId, {
    dns: ['localhost', 'localhost.domain'],
    ip: ['127.0.0.1', '::1'],
    serial: '00',
    key,
  })
  const clientCa = await pki.root('agent clients', { key })
  const pair = pki.writePair(`${name}-client`, await clientCa.issue('spire-agent', { key }))
  const tls = {
    cert: own.pem,
    key: own.keyPem(),
    ca: clientCa.pem,
    clientCertificates: 'required',
    refusesResumption: true,
  } as const
  const agent = await startFakeAgent({ agentId: node.agentId, tpm: node.tpm, ...(isTls && { tls }) })
  const caFile = pki.write(`${name}.crt`, own.pem, 0o644)
  const secure = {
    keylime_agent_use_tls: true,
    keylime_agent_ca_cert: caFile,
    keylime_agent_client_cert: pair.certFile,
    keylime_agent_client_key: pair.keyFile,
  }
  const address = { keylime_agent_host: agent.host, keylime_agent_port: agent.port }
  return {
    ...agent,
    caFile,
    clientCertFile: pair.certFile,
    clientKeyFile: pair.keyFile,
    clientCa,
    agentHcl: (extra = {}) => hcl({ ...address, ...(isTls && secure), ...extra }),
  }
}

/** Writes a flat HCL configuration. */
export function hcl(values: HclValues): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join('')
}
