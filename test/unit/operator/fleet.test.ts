// What hosts say of themselves: names and certificates of their own making.
import { createPublicKey } from 'node:crypto'
import { createServer } from 'node:net'
import { parseAgentId } from '@tower-of-omens/keylime'
import { describe, expect, it } from 'vitest'
import { type FleetHost, hostsMeant, hostsNamed } from '../../../operator/fleet.ts'
import { newKey, signerOf } from '../../../operator/pki/keys.ts'
import { selfSigned } from '../../../operator/pki/requests.ts'
import { certificateFromPem, presentedCertificate } from '../../../operator/sources/certificates.ts'
import { hostFindings } from '../../../operator/status/findings.ts'
import { statusRow } from '../../../operator/status/row.ts'
import { agentRecord } from '../server-attestor/agent-record.ts'

function host(name: string, id: string, more: Partial<FleetHost> = {}): FleetHost {
  return {
    agentId: parseAgentId(id),
    name,
    spiffeId: `spiffe://example.org/spire/agent/keylime/${id}`,
    registered: undefined,
    isRegistrationBroken: false,
    record: undefined,
    broken: undefined,
    decision: undefined,
    standing: undefined,
    spire: undefined,
    certificate: { failed: 'away' },
    ...more,
  }
}

const SPIRE_AGENT = {
  id: 'spiffe://example.org/spire/agent/keylime/d',
  attestationType: 'keylime',
  serialNumber: '1',
  expiresAt: 1,
  banned: false,
  canReattest: true,
  version: '',
  selectors: [],
}

const namesOf = (hosts: readonly FleetHost[], word: string): readonly string[] =>
  hostsNamed(hosts, word).map(({ agentId }) => agentId)

const meant = (hosts: readonly FleetHost[]): readonly string[] =>
  hostsMeant(hosts, 'auth').map(({ agentId }) => agentId)

describe('a word for a host', () => {
  const auth = host('auth.example.org', 'a'.repeat(64))
  const vault = host('vault.example.org', 'b'.repeat(64))

  it('is its name, short or whole, its ID or the beginning of that, or its SPIFFE ID', () => {
    for (const word of ['auth', 'auth.example.org', 'aaaaaa', 'a'.repeat(64), auth.spiffeId])
      expect(namesOf([auth, vault], word)).toEqual([auth.agentId])
    expect(namesOf([auth, vault], 'aaaaa')).toEqual([])
  })

  it('that two hosts answer to means both: a host that calls itself like another takes no command of the other', () => {
    const impostor = host('auth', 'c'.repeat(64))
    expect(namesOf([auth, vault, impostor], 'auth')).toEqual([auth.agentId, impostor.agentId])
    expect(namesOf([auth, vault, impostor], 'auth.example.org')).toEqual([auth.agentId])
  })

  it('of an order means the host that is enrolled, not one that only registered under its name [operator:act:enrolled-host]', () => {
    const record = { verifier: 'verifier', value: agentRecord({ agentId: auth.agentId }) }
    const enrolled = { ...auth, record }
    const stranger = host('auth', 'c'.repeat(64))
    const admitted = host('auth', 'd'.repeat(64), { spire: SPIRE_AGENT })
    expect(meant([stranger, enrolled, admitted])).toEqual([auth.agentId])
    expect(meant([stranger, admitted])).toEqual([admitted.agentId])
    expect(meant([stranger, auth])).toEqual([stranger.agentId, auth.agentId])
    expect(meant([enrolled, { ...stranger, record }])).toEqual([auth.agentId, stranger.agentId])
    expect(meant([stranger, { ...auth, broken: 'cannot be read' }])).toEqual([auth.agentId])
  })

  it('that is an ID means that host, whatever others call themselves', () => {
    const impostor = host(auth.agentId, 'c'.repeat(64))
    expect(namesOf([impostor, auth], auth.agentId)).toEqual([auth.agentId])
  })
})

describe('a certificate that a host presents', () => {
  it('is waited for so long and no longer, though it comes byte by byte', { timeout: 5_000 }, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      // A record of the handshake, 16 KiB long, that never ends.
      socket.write(Buffer.from([22, 3, 3, 0x40, 0]))
      const timer = setInterval(() => socket.write(Buffer.from([2])), 20)
      socket.on('close', () => clearInterval(timer))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await expect(
      presentedCertificate({ host: '127.0.0.1', port }, { timeoutMs: 300, now: Date.now() }),
    ).rejects.toThrow('no handshake within 300 ms')
    await new Promise((resolve) => server.close(resolve))
  })

  it('with an end that is no date makes one row poorer, and spoils no other', async () => {
    const key = await newKey('ec')
    const names = { commonName: 'auth', use: 'server', notBefore: new Date(0) } as const
    const whole = await selfSigned(
      { ...names, notAfter: new Date('2031-01-02T03:04:05Z') },
      signerOf(key, createPublicKey(key)),
    )
    const der = Buffer.from(whole.replaceAll(/-----.*-----/g, ''), 'base64')
    der.write('319902030405Z', der.indexOf('310102030405Z'))
    const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
    const seen = certificateFromPem(pem, Date.now())
    if (seen === undefined) throw new Error('no certificate')
    const failed = { registrar: undefined, verifier: undefined, spire: undefined }
    const bad = host('auth', 'a'.repeat(64), { certificate: { value: seen } })
    const row = statusRow(bad, { failed }, Date.now())
    expect(row.certificate).toEqual({ left_share: 0, not_after: null })
    const messages = hostFindings(row, bad).map(({ id, message }) => `${id} ${message}`)
    expect(messages).toContain('TK-CERT-EXPIRED its end is no date')
  })
})
