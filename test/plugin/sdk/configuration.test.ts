/**
 * Configuration and its absence, on plugins that run as real processes.
 *
 * @module
 */
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  aidAttestation,
  attestOnce,
  configure,
  launchPlugin,
  type PluginProcess,
} from '../../../plugins/spire-sdk/testing/index.ts'

const trustDomain = 'example.org'

async function launch(file: string): Promise<PluginProcess> {
  const args = [join(import.meta.dirname, 'executables', file)]
  const plugin = await launchPlugin({
    command: process.execPath,
    args,
    cookie: { key: 'NodeAttestor', value: 'NodeAttestor' },
  })
  onTestFinished(async () => void (await plugin.kill()))
  return plugin
}

/** Runs one thing many times, some at once, and counts how it ends. */
async function outcomes(total: number, atOnce: number, run: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  let left = total
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const outcome = await run().then(
        () => 'OK',
        (error: { code?: number; details?: string }) => `${error.code} ${error.details}`,
      )
      counts[outcome] = (counts[outcome] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return counts
}

describe('a plugin that is not configured', () => {
  it('says so to the server in 1000 of 1000 attestations [C51]', async () => {
    const plugin = await launch('versions.ts')
    const attest = () => attestOnce(plugin, { payload: Buffer.from('x'), answer: () => Buffer.from('y') })
    expect(await outcomes(1000, 20, attest)).toEqual({ '9 not configured': 1000 })
  })

  it('says so to the agent in 1000 of 1000 attestations [C51]', async () => {
    const plugin = await launch('reluctant-agent.ts')
    const aid = () => aidAttestation(plugin, { next: () => Buffer.from('challenge') })
    expect(await outcomes(1000, 20, aid)).toEqual({ '9 not configured': 1000 })
  })
})

describe('an agent plugin that fails', () => {
  it.each([
    ['before', '14 keylime agent is not up'],
    ['after', '14 keylime agent went away'],
  ])('%s its payload tells the agent why in 500 of 500 attestations [C52]', async (hcl, outcome) => {
    const plugin = await launch('reluctant-agent.ts')
    await configure(plugin, { trustDomain, hcl })
    const aid = () => aidAttestation(plugin, { next: () => Buffer.from('challenge') })
    expect(await outcomes(500, 20, aid)).toEqual({ [outcome]: 500 })
  })
})

describe('Configure during attestations', () => {
  it('never mixes two configurations in one attestation, and releases none that is in use [C48]', async () => {
    const plugin = await launch('versions.ts')
    await configure(plugin, { trustDomain, hcl: '0' })
    let version = 0
    const attestations = Array.from({ length: 100 }, () => {
      return attestOnce(plugin, {
        payload: Buffer.from('x'),
        // Each attestation is still open while the configuration changes twice.
        async answer() {
          for (let times = 0; times < 2; times++) await configure(plugin, { trustDomain, hcl: String(++version) })
          return Buffer.from('y')
        },
      })
    })
    const selectors = (await Promise.all(attestations)).map(({ selectorValues }) => selectorValues)
    for (const [before, after] of selectors) expect(after).toBe(before)
    expect(selectors.flat().filter((value) => !value.endsWith(':false'))).toEqual([])
    const last = await attestOnce(plugin, { payload: Buffer.from('x'), answer: () => Buffer.from('y') })
    expect(last.selectorValues).toEqual(['200:false', '200:false'])
  })
})
