// What anybody on the way to a port can show the plugins before any trust: each must live, and name what it saw.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { type HalfHandshake, startHalfHandshake } from '../fakes/half-handshake.ts'
import {
  hasOpenssl,
  newOpensslPki,
  type OpensslKey,
  type OpensslPair,
  type OpensslPki,
  opensslCurves,
} from '../fakes/openssl-pki.ts'
import { AgentPlugin } from './agent-plugin.ts'
import { type Outcome } from './half-process.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

const P256: OpensslKey = { curve: 'prime256v1' }
const KINDS: Readonly<Record<string, OpensslKey>> = {
  'on brainpoolP256r1': { curve: 'brainpoolP256r1' },
  'on secp256k1': { curve: 'secp256k1' },
  'on brainpoolP384r1 with a short point': { curve: 'brainpoolP384r1', isCompressed: true },
  'on P-256 with a short point': { curve: 'prime256v1', isCompressed: true },
  'of Ed25519': { algorithm: 'ED25519' },
  'of Ed448': { algorithm: 'ED448' },
  'of RSA-PSS': { algorithm: 'RSA-PSS', options: ['rsa_keygen_bits:2048'] },
}

let keylime: FakeKeylime
let plugin: ServerPlugin
let maker: OpensslPki
let rows = 0

beforeAll(async () => {
  keylime = await startFakeKeylime({ ak: 'ec-p256' })
  plugin = await ServerPlugin.start()
  maker = newOpensslPki(keylime.pki)
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

/** Lets verifier or registrar show a certificate, and attests a node of its own. */
async function attestWith(service: 'verifier' | 'registrar', shown: OpensslPair, chain = ''): Promise<Outcome> {
  rows += 1
  const node = newFakeNode(`node-${rows}`, keylime.node().tpm)
  keylime.enrol(node)
  const good = await keylime.ca.issue('server')
  keylime[service].setCertificate({ cert: shown.pem + chain, key: shown.keyPem })
  keylime[service].dropConnections()
  const outcome = await plugin.attest(node)
  keylime[service].setCertificate({ cert: good.pem, key: good.keyPem() })
  keylime[service].dropConnections()
  return outcome
}

/** Waits for a line of the plugin's log. */
async function logHolds(text: string): Promise<void> {
  await expect.poll(() => plugin.logs().some(({ raw }) => raw.includes(text)), { timeout: 10_000 }).toBe(true)
}

/** Attests a node with Keylime as it was, by the same process as before. */
async function expectAlive(): Promise<void> {
  await plugin.configure(keylime.serverHcl())
  rows += 1
  const node = newFakeNode(`node-${rows}`, keylime.node().tpm)
  keylime.enrol(node)
  expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
}

describe.skipIf(!hasOpenssl).each(['verifier', 'registrar'] as const)(
  'a %s whose CA nobody here knows (skipped without the openssl program)',
  (service) => {
    it.each(Object.entries(KINDS))(
      'is named, and refused, with a CA key %s [tls:stranger:survived]',
      async (name, key) => {
        const ca = maker.root(`Stranger ${name}`, key)
        await plugin.configure(keylime.serverHcl())
        const outcome = await attestWith(service, maker.issue('server', P256, ca), ca.pem)
        // A caller that has proved nothing reads less than the log holds.
        const told = service === 'verifier' ? `presents a chain up to the root CN=${ca.name}` : 'not in our CA file'
        expect(outcome).toEqual({ status: 'INTERNAL', message: matching(new RegExp(`keylime ${service}.*${told}`)) })
        await logHolds(`CN=${ca.name}`)
        await expectAlive()
      },
    )
  },
)

describe.skipIf(!hasOpenssl)('a verifier and a registrar of our own CA (skipped without the openssl program)', () => {
  it.each(Object.entries(KINDS))('serve with a CA key %s [tls:stranger:survived]', async (name, key) => {
    const ca = maker.root(`Own ${name}`, key)
    const file = keylime.pki.write(`own-${rows}.crt`, keylime.ca.pem + ca.pem)
    await plugin.configure(keylime.serverHcl({ keylime_tls_ca_cert_file: file }))
    for (const service of ['verifier', 'registrar'] as const) {
      const leaf = maker.issue('server', P256, ca)
      expect(await attestWith(service, leaf, ca.pem)).toMatchObject({ status: 'OK' })
      expect(await attestWith(service, leaf)).toMatchObject({ status: 'OK' })
    }
  })

  describe.each(['before', 'after', 'without'] as const)('during a rollover of the CA', (order) => {
    it(`serves with the cross-signed certificates ${order} the roots [tls:rollover:ends]`, async () => {
      const [old, fresh] = [maker.root('Rolling CA', P256), maker.root('Rolling CA', P256)]
      const crossed = maker.crossSign(old, fresh).pem + maker.crossSign(fresh, old).pem
      const roots = old.pem + fresh.pem
      const text = { before: crossed + roots, after: roots + crossed, without: crossed }[order]
      const file = keylime.pki.write(`rolling-${rows}.crt`, keylime.ca.pem + text)
      await plugin.configure(keylime.serverHcl({ keylime_tls_ca_cert_file: file }))
      for (const issuer of [old, fresh]) {
        const leaf = maker.issue('server', P256, issuer)
        for (const chain of ['', crossed, roots + crossed]) {
          expect(await attestWith('verifier', leaf, chain)).toMatchObject({ status: 'OK' })
          expect(await attestWith('registrar', leaf, chain)).toMatchObject({ status: 'OK' })
        }
      }
    })
  })

  it('are named when their cross-signed chain leads to no CA of ours [tls:rollover:ends]', async () => {
    const [old, fresh] = [maker.root('Circle CA', P256), maker.root('Circle CA', P256)]
    const crossed = maker.crossSign(old, fresh).pem + maker.crossSign(fresh, old).pem
    await plugin.configure(keylime.serverHcl())
    expect(await attestWith('verifier', maker.issue('server', P256, old), crossed)).toEqual({
      status: 'INTERNAL',
      message: matching(/keylime verifier .*presents a chain .*Circle CA.* is not in /),
    })
    await expectAlive()
  })
})

describe.skipIf(!hasOpenssl)(
  'a port that shows certificates and hangs up (skipped without the openssl program)',
  () => {
    let port: HalfHandshake
    beforeAll(async () => {
      port = await startHalfHandshake()
    })
    afterAll(async () => {
      await port[Symbol.asyncDispose]()
    })

    /** Attests once against the port, and says what came of it. */
    const meet = async (chain: readonly string[], cipher: 'ecdsa' | 'rsa' = 'ecdsa'): Promise<object> => {
      port.show(chain, cipher)
      const before = port.shown()
      const { status, message } = await plugin.attest(keylime.node())
      return { status, message, isShown: port.shown() > before }
    }
    const survived = {
      status: matching(/^(INTERNAL|UNAVAILABLE)$/),
      message: matching(/keylime verifier/),
      isShown: true,
    }

    it('ends nothing on any curve that OpenSSL knows, however the key is written [tls:stranger:survived]', async () => {
      await plugin.configure(keylime.serverHcl({ keylime_verifier_port: port.port }))
      const ca = maker.root('Any', P256)
      for (const [index, curve] of opensslCurves().entries()) {
        const form = index % 2 === 0 ? {} : { isExplicit: true, isCompressed: true }
        expect(await meet([maker.issue(curve, { curve, ...form }, ca).pem, ca.pem])).toEqual(survived)
      }
      await expectAlive()
    }, 120_000)

    it('ends nothing with a key of any other kind [tls:stranger:survived]', async () => {
      await plugin.configure(keylime.serverHcl({ keylime_verifier_port: port.port }))
      const ca = maker.root('Any', P256)
      for (const algorithm of ['ED25519', 'ED448', 'X25519', 'X448', 'RSA', 'RSA-PSS', 'SM2']) {
        const { pem } = maker.issue(algorithm, { algorithm }, ca)
        for (const cipher of ['ecdsa', 'rsa'] as const) expect(await meet([pem, ca.pem], cipher)).toEqual(survived)
      }
      const group = { algorithm: 'DH', options: ['group:ffdhe2048'] }
      for (const cipher of ['ecdsa', 'rsa'] as const)
        expect(await meet([maker.issue('DH', group, ca).pem], cipher)).toEqual(survived)
      await expectAlive()
    })

    it('ends nothing with as many certificates as fit, in a circle too [tls:stranger:survived]', async () => {
      await plugin.configure(keylime.serverHcl({ keylime_verifier_port: port.port }))
      const [old, fresh] = [maker.root('C', { algorithm: 'ED25519' }), maker.root('C', { algorithm: 'ED25519' })]
      const circle = [maker.crossSign(old, fresh).pem, maker.crossSign(fresh, old).pem]
      const leaf = maker.issue('L', P256, old).pem
      for (const times of [1, 5, 100, 400]) {
        expect(await meet([leaf, ...Array.from({ length: times }, () => circle).flat()])).toEqual(survived)
      }
      await expectAlive()
    })
  },
)

describe.skipIf(!hasOpenssl)('a Keylime agent (skipped without the openssl program)', () => {
  it.each(Object.entries(KINDS))(
    'whose CA key is %s does not end the agent half [tls:stranger:survived]',
    async (name, key) => {
      const ca = maker.root(`Agent CA ${name}`, key)
      const leaf = maker.issue('agent', P256, ca)
      const agent = await keylime.startAgent()
      await using half = await AgentPlugin.start(agent.agentHcl({ wait_for_agent: '0s' }))
      agent.setCertificate({ cert: leaf.pem + ca.pem, key: leaf.keyPem })
      agent.dropConnections()
      expect(await half.aid()).toMatchObject({
        status: 'INTERNAL',
        message: matching(new RegExp(`keylime agent.*Agent CA ${name}`)),
      })
      await half.configure(agent.agentHcl({ keylime_agent_ca_cert: ca.certFile }))
      expect(await half.aid()).toMatchObject({ status: 'OK' })
    },
  )

  it('with a cross-signed CA is attested to by the agent half [tls:rollover:ends]', async () => {
    const [old, fresh] = [maker.root('Agent Rolling', P256), maker.root('Agent Rolling', P256)]
    const crossed = maker.crossSign(old, fresh).pem + maker.crossSign(fresh, old).pem
    const leaf = maker.issue('agent', P256, fresh)
    const agent = await keylime.startAgent()
    agent.setCertificate({ cert: leaf.pem + crossed, key: leaf.keyPem })
    const file = keylime.pki.write('agent-rolling.crt', crossed + old.pem + fresh.pem)
    await using half = await AgentPlugin.start(agent.agentHcl({ keylime_agent_ca_cert: file }))
    expect(await half.aid()).toMatchObject({ status: 'OK' })
  })
})
