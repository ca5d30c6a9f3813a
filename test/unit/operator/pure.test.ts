import { createHash } from 'node:crypto'
import { assert, constantFrom, integer, option, property, record, string, uint8Array, uniqueArray } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Recovery, recoveryOf } from '../../../operator/act/recovering.ts'
import { filesWithSecrets, nodeFiles } from '../../../operator/enroll/node-files.ts'
import { flagsOf, VERBS } from '../../../operator/flags/verbs.ts'
import type { FleetHost } from '../../../operator/fleet.ts'
import { bootEvents, eventChanges, replayed } from '../../../operator/policy/boot-events.ts'
import { packageChanges } from '../../../operator/policy/packages.ts'
import { pcrNumbers } from '../../../operator/policy/pcr-numbers.ts'
import { comparedPcrs, narrowed, policyMembers, policyOf, widened } from '../../../operator/policy/windows.ts'
import { nearest } from '../../../operator/site/nearest.ts'
import { redacted, secretsIn } from '../../../operator/support/redact.ts'
import { trustGap } from '../../../operator/tls/trust-rules.ts'
import { parseAgentId } from '../../../plugins/keylime/basis/ids.ts'
import { newTestPki } from '../../fakes/pki.ts'
import { bootLog, bootPcrs, GOOD_BOOT } from '../../lab/tower/boot-log.ts'

describe('a boot log', () => {
  it('leads to the values that the TPM holds, and two of them differ by what changed', () => {
    const [old, now] = [bootEvents(bootLog(GOOD_BOOT)), bootEvents(bootLog({ ...GOOD_BOOT, kernel: 'kernel 6.13' }))]
    for (const [pcr, value] of bootPcrs(GOOD_BOOT)) expect([pcr, replayed(old, pcr)]).toEqual([pcr, value])
    const changes = [8, 9].flatMap((pcr) => eventChanges(old, now, pcr))
    expect(changes.filter((line) => line.startsWith('+'))).toEqual([expect.stringContaining('6.13')])
    expect(eventChanges(old, now, 7)).toEqual([])
  })

  it('of any bytes does no harm', () => {
    assert(
      property(uint8Array({ maxLength: 300 }), (bytes) => {
        expect(Array.isArray(bootEvents(Buffer.from(bytes)))).toBe(true)
      }),
    )
  })
})

describe('a policy window', () => {
  const digest = string({ unit: constantFrom(...Array.from('0123456789abcdef')), minLength: 64, maxLength: 64 })

  it('lets old and new values pass, and only new ones after it; nothing else of the policy changes', () => {
    assert(
      property(uniqueArray(constantFrom(0, 4, 7, 8, 9), { minLength: 1 }), digest, digest, (pcrs, before, after) => {
        const old = JSON.stringify(policyOf(new Map(pcrs.map((pcr) => [pcr, before]))))
        const now = new Map([[pcrs[0] ?? 0, after]])
        const wide = policyMembers(JSON.stringify(widened(old, now)))
        const narrow = policyMembers(JSON.stringify(narrowed(old, now)))
        expect(new Set(wide.get(String(pcrs[0])))).toEqual(new Set([before, after]))
        expect(narrow.get(String(pcrs[0]))).toEqual([after])
        expect([wide.get('mask'), narrow.get('mask')]).toEqual([
          policyMembers(old).get('mask'),
          policyMembers(old).get('mask'),
        ])
        for (const pcr of pcrs.slice(1)) expect(wide.get(String(pcr))).toEqual([before])
        expect(comparedPcrs(old)).toEqual(pcrs.toSorted((a, b) => a - b))
      }),
    )
  })

  it('takes PCRs that Keylime compares, and no others', () => {
    expect(pcrNumbers('7,0,4,4')).toEqual([0, 4, 7])
    for (const text of ['10', '16', '24', 'x', '', '0;4'])
      expect(() => pcrNumbers(text)).toThrow('expected numbers from 0 to 23')
  })
})

const host = (fields: object): FleetHost =>
  ({
    agentId: parseAgentId('a'),
    name: 'auth',
    certificate: { value: { leftShare: 0.5, names: [], leftSeconds: 10 } },
    record: {
      verifier: 'v',
      value: {
        operationalState: 7,
        lastEventId: 'internal.verifier.not_reachable',
        lastSuccessfulAttestation: 1_000,
        receivedAt: 1_100,
        ...fields,
      },
    },
  }) as unknown as FleetHost

function whyNot(recovery: Recovery): string {
  return recovery.kind === 'refuse' ? recovery.why : recovery.kind
}

describe('recovery', () => {
  const rules = { budgetSeconds: 62, reason: 'reboot' } as const
  it('is for hosts that could not be reached and answer again, after all retries', () => {
    expect(recoveryOf(host({}), rules)).toEqual({ kind: 'reactivate', awaySeconds: 100 })
    expect(whyNot(recoveryOf(host({ receivedAt: 1_050 }), rules))).toContain('may still be polled')
    expect(recoveryOf(host({ lastEventId: 'internal.other' }), rules)).toMatchObject({ kind: 'refuse' })
    expect(whyNot(recoveryOf({ ...host({}), certificate: { failed: 'nobody listens' } }, rules))).toContain(
      'does not answer yet',
    )
  })

  it('of a clock that went back needs a person to say so', () => {
    const clock = host({ operationalState: 9, lastEventId: 'qoute_validation.quote_validation' })
    expect(whyNot(recoveryOf(clock, rules))).toContain('tpm2_setclock')
    expect(recoveryOf(clock, { ...rules, reason: 'clock' })).toMatchObject({ kind: 'reactivate' })
  })

  it('never reactivates a host that is polled, or whose measurements failed', () => {
    const anyRecord = record({
      operationalState: integer({ min: 0, max: 10 }),
      lastEventId: option(
        constantFrom('internal.verifier.not_reachable', 'pcr_validation.invalid_pcr_7', 'ima.pcr_mismatch'),
        { nil: undefined },
      ),
      receivedAt: integer({ min: 1_000, max: 2_000 }),
    })
    assert(
      property(
        anyRecord,
        constantFrom('reboot' as const, 'certificate' as const, 'clock' as const),
        (fields, reason) => {
          const { kind } = recoveryOf(host(fields), { budgetSeconds: 62, reason })
          const isLost =
            fields.operationalState === 7 &&
            fields.lastEventId === 'internal.verifier.not_reachable' &&
            fields.receivedAt > 1_062
          expect(kind === 'reactivate').toBe(isLost)
        },
      ),
    )
  })
})

describe('trust', () => {
  it('depends on how a program reads the same file', async () => {
    using pki = newTestPki()
    const root = await pki.root('Root')
    const other = await pki.root('Root')
    const middle = await root.intermediate('Middle')
    const leaf = await middle.issue('leaf')
    const [alone, whole] = [[leaf.x509], [leaf.x509, middle.x509]]
    expect(trustGap(whole, [root.x509], 'to-root')).toBeUndefined()
    expect(trustGap(alone, [root.x509], 'to-root')).toMatchObject({ missing: 'CN=Middle', namesake: false })
    expect(trustGap(alone, [middle.x509, root.x509], 'to-root')).toBeUndefined()
    expect(trustGap(alone, [middle.x509], 'to-root')).toMatchObject({ missing: 'CN=Root' })
    expect(trustGap(alone, [middle.x509], 'partial')).toBeUndefined()
    expect(trustGap(alone, [root.x509, middle.x509], 'first-block')).toMatchObject({ missing: 'CN=Middle' })
    expect(trustGap(alone, [middle.x509, root.x509], 'first-block')).toBeUndefined()
    expect(trustGap(whole, [other.x509], 'to-root')).toMatchObject({ missing: 'CN=Root', namesake: true })
    expect(trustGap([], [root.x509], 'partial')).toMatchObject({ reached: 'nothing' })
  })
})

describe('what leaves the machine', () => {
  it('has no value of a key that names a secret', () => {
    expect(redacted('tpm_ownerpassword = "x"\nserver_key = "/a.key"\napi_token: abc\n')).toBe(
      'tpm_ownerpassword = "(redacted)"\nserver_key = "/a.key"\napi_token: "(redacted)"\n',
    )
    expect(secretsIn('-----BEGIN EC PRIVATE KEY-----')).toEqual(['a private key'])
    expect(secretsIn(`token hvs.${'A'.repeat(30)}`)).toEqual(['a vault token'])
    expect(secretsIn('spiffe://example.org/a 10.0.0.1')).toEqual([])
  })
})

describe('the files of a new node', () => {
  const facts = {
    host: 'node7.example.org',
    ip: '10.0.0.7',
    trustDomain: 'example.org',
    spireAddress: 'spire.example.org',
    spirePort: 8081,
    registrarIp: '10.0.0.1',
    registrarPort: 8890,
    caChain: 'CHAIN\n',
    bundle: 'BUNDLE\n',
    plugin: '/usr/bin/keylime-attestor-agent',
    evidence: 'tpm',
    tpmPath: '/dev/tpmrm0',
    openbao: { address: 'https://bao:8200', mount: 'pki_int', role: 'keylime-agents', ttl: '24h' },
  } as const

  it('are the same each time, hold no secret, and lead the list of their checksums [T47]', () => {
    const files = nodeFiles(facts)
    expect([...files]).toEqual([...nodeFiles(facts)])
    expect(filesWithSecrets(files)).toEqual([])
    const sums = files.get('SHA256SUMS') ?? ''
    const expected = [...files]
      .filter(([path]) => path !== 'SHA256SUMS')
      .map(
        ([path, text]) => `${createHash('sha256').update(text).digest('hex')}  ${path.slice(1)}
`,
      )
    expect(sums).toBe(expected.join(''))
    expect(files.get('/etc/keylime/agent.conf')).toContain('uuid = "hash_ek"')
    expect(files.get('/etc/spire/agent.conf')).toContain(
      'evidence = "tpm"\n      keylime_agent_data = "/var/lib/keylime/agent_data.json"',
    )
    const elsewhere = nodeFiles({ ...facts, tpmPath: '/run/tpm.sock' })
    expect(elsewhere.get('/etc/spire/agent.conf')).toContain('evidence = "tpm"\n      tpm_path = "/run/tpm.sock"')
    expect(files.has('/etc/towerkeep/certs.d/plugin.hcl')).toBe(false)
  })

  it('have a client certificate of their own where the Keylime agent is asked', () => {
    const files = nodeFiles({ ...facts, evidence: 'keylime-agent' })
    expect(files.get('/etc/towerkeep/certs.d/plugin.hcl')).toContain('issuer = "self"')
    expect(files.get('/etc/keylime/agent.conf')).toContain('plugin-next.crt')
    expect(filesWithSecrets(new Map([['/a', '-----BEGIN PRIVATE KEY-----']]))).toEqual(['/a'])
  })
})

describe('flags', () => {
  it('do not begin with no-, which the parser takes for the opposite of another', () => {
    const names = VERBS.flatMap((verb) => Object.keys(flagsOf(verb)))
    expect(names.filter((name) => name.startsWith('no-'))).toEqual([])
  })
})

describe('small words', () => {
  it('find the nearest key, and none that is far', () => {
    expect(nearest('contact_pi', ['contact_ip', 'port'])).toBe('contact_ip')
    expect(nearest('zebra', ['contact_ip', 'port'])).toBeUndefined()
    expect(packageChanges({ a: '1', b: '1' }, { a: '2', c: '1' })).toEqual([
      'a 1 -> 2',
      'b 1 -> absent',
      'c absent -> 1',
    ])
  })
})
