import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeKeylime, startFakeKeylime } from '../fakes/fake-keylime.ts'
import { newFakeNode } from '../fakes/fake-node.ts'
import { matching } from './matching.ts'
import { ServerPlugin } from './server-plugin.ts'

let keylime: FakeKeylime
let plugin: ServerPlugin

beforeAll(async () => {
  keylime = await startFakeKeylime({ nodes: 2, ak: 'ec-p256' })
  plugin = await ServerPlugin.start({ hcl: keylime.serverHcl() })
})
afterAll(async () => {
  await plugin.stop()
  await keylime.close()
})

describe('the server half after a fault around it', () => {
  it('serves again as soon as the verifier has restarted [T73]', async () => {
    const node = keylime.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    for (let round = 0; round < 3; round += 1) {
      await keylime.verifier.pause()
      const outcome = await plugin.attest(node)
      await keylime.verifier.resume()
      expect(outcome).toEqual({ status: 'UNAVAILABLE', message: matching(/verifier.*refused/) })
      // The verifier sets everything back to START when it starts, and attests a moment later.
      keylime.verifier.set(node.agentId, { operational_state: 1 })
      expect(await plugin.attest(node)).toEqual({ status: 'FAILED_PRECONDITION', message: matching('1 START') })
      keylime.verifier.set(node.agentId, { operational_state: 3 })
      expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    }
  })

  it('names a registrar that is lost to every node, gives no verdict, and goes on when it is back [T73]', async () => {
    const [known, other] = [keylime.node(0), keylime.node(1)]
    expect(await plugin.attest(known)).toMatchObject({ status: 'OK' })
    await keylime.registrar.pause()
    for (const node of [known, other]) {
      expect(await plugin.attest(node)).toEqual({
        status: 'UNAVAILABLE',
        message: matching(/registrar.*nothing listens/),
      })
    }
    await keylime.registrar.resume()
    for (const node of [known, other]) expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
  })

  it('names a node that the verifier gave up reaching, as after a power cut, and admits it once reactivated [P05]', async () => {
    const node = keylime.node()
    keylime.verifier.set(node.agentId, { operational_state: 7, last_event_id: 'internal.verifier.not_reachable' })
    // Not a verdict: a starting SPIRE agent tries again instead of exiting.
    expect(await plugin.attest(node)).toEqual({
      status: 'FAILED_PRECONDITION',
      message: matching(/gave up reaching it.*KL-GATE-UNREACHABLE/),
    })
    // Reactivating starts over from START; the last event is never reset.
    keylime.verifier.set(node.agentId, { operational_state: 3 })
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
  })

  it.each([-300, 300])('judges age by the verifier’s own clock, %d s from ours [T73]', async (skewS) => {
    const other = await startFakeKeylime({ ak: 'ec-p256', now: () => Date.now() + skewS * 1000 })
    await plugin.configure(other.serverHcl())
    const node = other.node()
    expect(await plugin.attest(node)).toMatchObject({ status: 'OK' })
    const then = Math.floor(Date.now() / 1000) + skewS - 120
    other.verifier.set(node.agentId, { last_successful_attestation: then })
    expect(await plugin.attest(node)).toEqual({ status: 'FAILED_PRECONDITION', message: matching(/12\d s old/) })
    await plugin.configure(keylime.serverHcl())
    await other.close()
  })

  it('is killed outright: attestations under way fail as unavailable, and the next process takes over [T73]', async () => {
    const doomed = await ServerPlugin.start({ hcl: keylime.serverHcl() })
    const underWay = doomed.attest(keylime.node(), {
      answer: async (challenge) => {
        await doomed.process.kill()
        return keylime.node().respond(challenge)
      },
    })
    expect(await underWay).toMatchObject({ status: 'UNAVAILABLE' })
    await using next = await ServerPlugin.start({ hcl: keylime.serverHcl() })
    expect(await next.attest(keylime.node())).toMatchObject({ status: 'OK' })
  })

  it('attests though its log cannot be written, as on a full disk [T73]', async () => {
    await using mute = await ServerPlugin.start({
      hcl: keylime.serverHcl(),
      before: ['/bin/sh', '-c', 'exec "$@" 2>/dev/full', 'sh'],
    })
    expect(await mute.attest(keylime.node())).toMatchObject({ status: 'OK' })
    keylime.verifier.set(keylime.node().agentId, { operational_state: 9 })
    expect(await mute.attest(keylime.node())).toMatchObject({ status: 'PERMISSION_DENIED' })
    keylime.verifier.set(keylime.node().agentId, { operational_state: 3 })
    expect(await mute.attest(keylime.node())).toMatchObject({ status: 'OK' })
  })
})

describe('what the server half does to Keylime', () => {
  it('is to read: it enrols nobody and changes nothing, whoever asks [P04]', async () => {
    for (const server of [keylime.verifier, keylime.registrar]) server.resetStats()
    const { tpm } = keylime.node()
    const stranger = newFakeNode('stranger', tpm)
    keylime.registrar.register({
      agent_id: 'stranger',
      ek_tpm: tpm.ekTpm.toString('base64'),
      aik_tpm: tpm.akTpm.toString('base64'),
    })
    expect(await plugin.attest(stranger)).toMatchObject({ status: 'FAILED_PRECONDITION' })
    expect(await plugin.attest(newFakeNode('nobody', tpm))).toMatchObject({ status: 'FAILED_PRECONDITION' })
    expect(await plugin.attest(keylime.node())).toMatchObject({ status: 'OK' })
    expect(Object.keys(keylime.verifier.stats.methods)).toEqual(['GET'])
    expect(Object.keys(keylime.registrar.stats.methods)).toEqual(['GET'])
  })
})
