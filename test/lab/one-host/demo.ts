/**
 * `make demo`: attests one host with real parts, step by step, then tampers with it and shows it refused.
 *
 * @module
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentRecord } from '@tower-of-omens/keylime/api'
import { prepareParts } from '../parts/prepare.ts'
import { formatSeconds } from '../parts/progress.ts'
import { runCommand } from '../processes/commands.ts'
import { reasonOf } from '../processes/errors.ts'
import { describeRecord } from '../services/keylime-admin.ts'
import { printHowToLook } from './look-around.ts'
import { type Narrator, newNarrator } from './narrator.ts'
import { type Evidence, type Mode, PINNED_PCR, Rig } from './rig.ts'
import { TRUST_DOMAIN } from './spire-maker.ts'

/** The part of a SPIRE log that an operator reads: status code and our own words, out of the quoted `error` field. */
function refusalIn(log: string): string | undefined {
  const quoted = /error="((?:\\.|[^"\\])*nodeattestor\(keylime\): (?:\\.|[^"\\])*)"/.exec(log)?.[1]
  return quoted?.replace(/\\(.)/g, '$1').replace(/^.*?(?=code = )/, '')
}

async function refusedBeforeEnrolment(tell: Narrator, rig: Rig): Promise<void> {
  rig.spireAgent.start()
  const log = await rig.spireAgent.waitForLog(/[^\n]*nodeattestor\(keylime\): [^\n]*/)
  tell.say(`an operator reads: ${refusalIn(log) ?? log}`)
  const attested = await rig.spireServer.agentList()
  tell.say(`spire-server agent list: ${attested.length} agents; spire-agent keeps trying`)
}

async function enrol(tell: Narrator, rig: Rig): Promise<void> {
  await rig.enrol()
  const entry = await rig.keylime.admin.enrolled(rig.agentId)
  tell.say(`policy: ${entry?.tpmPolicy}`)
  tell.say(`the verifier's record: ${entry === undefined ? 'none' : describeRecord(entry)}`)
}

async function attest(tell: Narrator, rig: Rig): Promise<void> {
  await rig.spireAgent.healthy()
  tell.say(`SPIFFE ID ${rig.spiffeId}`)
}

async function fetchSvid(tell: Narrator, rig: Rig): Promise<void> {
  const spiffeId = await rig.createWorkload('demo')
  const svid = await rig.spireAgent.waitForSvid(spiffeId)
  tell.say(`X509-SVID ${svid.spiffeId}, valid until ${svid.certificate.validTo}`)
}

async function tamper(tell: Narrator, rig: Rig): Promise<void> {
  tell.say(`PCR ${PINNED_PCR} before: ${await rig.tpm.readPcr(PINNED_PCR)}`)
  const entry = await rig.tamper()
  tell.say(`PCR ${PINNED_PCR} after:  ${await rig.tpm.readPcr(PINNED_PCR)}`)
  tell.say(`the verifier's record: ${describeRecord(entry)}`)
}

async function refusedAfterTampering(tell: Narrator, rig: Rig): Promise<void> {
  const before = rig.spireAgent.readLog().length
  await rig.spireServer.evict(rig.spiffeId)
  tell.say("evicted, so that the SPIRE agent attests again now and not at half of its SVID's life")
  await rig.spireAgent.waitForExit(60_000)
  const log = rig.spireAgent.readLog().slice(before)
  tell.say(`an operator reads: ${refusalIn(log) ?? 'no refusal in the log'}`)
  tell.say('spire-agent has removed its SVID and ended')
  try {
    await rig.spireAgent.fetchX509()
  } catch (error) {
    tell.say(`a workload asks for its SVID: ${reasonOf(error)}`)
    return
  }
  throw new Error('the workload still got an SVID after the node was refused')
}

/** In push mode a failure stays until the node is enrolled anew. */
async function heal(rig: Rig): Promise<AgentRecord> {
  if (rig.mode === 'pull') {
    await rig.keylime.admin.reactivate(rig.agentId)
    return rig.keylime.admin.waitForState(rig.agentId, 'polled')
  }
  await rig.keylime.admin.unenrol(rig.agentId)
  await rig.enrol()
  return rig.keylime.admin.waitForQuotes(rig.agentId)
}

async function recover(tell: Narrator, rig: Rig): Promise<void> {
  await rig.reboot()
  const healed = await heal(rig)
  rig.spireAgent.start()
  await rig.spireAgent.healthy()
  tell.say(`the verifier's record: ${describeRecord(healed)}; the SPIRE agent is attested again`)
}

/** What an operator finds on the node: no port of Keylime, no certificate for it. */
async function lookAtNode(tell: Narrator, rig: Rig): Promise<void> {
  const listening = await runCommand('ss', ['-ltnp'])
  const ofAgent = new Set(rig.keylimeAgent.process().members().map(String))
  const ports = listening
    .split('\n')
    .filter((line) => [...line.matchAll(/pid=(\d+)/g)].some(([, pid]) => ofAgent.has(pid ?? '')))
  const files = readdirSync(join(rig.dir, 'keylime-agent'), { recursive: true }).map(String)
  const certificates = files.filter((name) => /\.(?:crt|pem|key)$/.test(name))
  tell.say(`ss -ltnp: ${ports.length === 0 ? 'the Keylime agent listens nowhere' : ports.join('; ')}`)
  tell.say(`find: ${certificates.length === 0 ? 'no certificate and no key file' : certificates.join(', ')}`)
  const shown = await rig.spireServer.agentShowText(rig.spiffeId)
  const selectors = [...shown.matchAll(/keylime:((?:evidence|mode|pcr):\S+)/g)].map(([, value = '']) => value)
  tell.say(`selectors of its own quote: ${selectors.join(' ')}`)
}

/** Reads a choice out of the environment; another word ends the demo. */
function choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
  const given = process.env[name]
  if (given === undefined || given === '') return choices[0]
  const found = choices.find((one) => one === given)
  if (found === undefined) throw new Error(`${name}=${given}: expected ${choices.join(' or ')}`)
  return found
}

async function tellStory(tell: Narrator, rig: Rig): Promise<void> {
  await tell.step('The node is not enrolled at Keylime, so SPIRE refuses it', () => refusedBeforeEnrolment(tell, rig))
  await tell.step(`The node is enrolled, its PCR ${PINNED_PCR} pinned to what it is now`, () => enrol(tell, rig))
  await tell.step('The SPIRE agent, still trying, attests', () => attest(tell, rig))
  await tell.step('spire-server agent show', async () =>
    tell.say((await rig.spireServer.agentShowText(rig.spiffeId)).trim()),
  )
  await tell.step('A workload on the node fetches its X509-SVID', () => fetchSvid(tell, rig))
  if (rig.mode === 'push') await tell.step('What is on the node', () => lookAtNode(tell, rig))
  await tell.step(`The node is tampered with: PCR ${PINNED_PCR} is extended, and Keylime fails it`, () =>
    tamper(tell, rig),
  )
  await tell.step('SPIRE refuses the tampered node', () => refusedAfterTampering(tell, rig))
}

async function main(): Promise<void> {
  const tell = newNarrator(process.stdout)
  const keep = !['', '0', undefined].includes(process.env.KEEP)
  const since = performance.now()
  let rig: Rig | undefined
  let interrupted: Promise<never> | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      tell.line(`\n${signal}: ending everything that was started`)
      // Before the host is complete its keeper, seeing this process end, does the same.
      interrupted = (rig?.stop() ?? Promise.resolve()).then(() => process.exit(130))
    })
  }
  try {
    tell.line('Tower of Omens: SPIRE, Keylime and a software TPM, all real, on this machine')
    tell.line()
    const mode = choice<Mode>('MODE', ['pull', 'push'])
    const evidence = mode === 'push' ? 'tpm' : choice<Evidence>('EVIDENCE', ['keylime-agent', 'tpm'])
    const parts = await prepareParts(process.stdout)
    const realAgent = mode === 'push' ? parts.realPushAgent : parts.realAgent
    const agent = realAgent === undefined ? "the rig's stand-in over the real software TPM" : `real, ${realAgent}`
    rig = await tell.step('All parts start on loopback ports of their own', async () => {
      const started = await Rig.start({
        name: 'demo',
        parts,
        mode,
        evidence,
        ...(evidence === 'tpm' && { server: { plugin: { data: { pcr_selectors: [String(PINNED_PCR)] } } } }),
        agent: { syncInterval: '1s' },
        onPart: (what) => tell.say(what),
      })
      tell.say(
        `Keylime agent: ${agent}, in ${mode} mode; evidence from ${evidence === 'tpm' ? 'the TPM itself' : 'the Keylime agent'}`,
      )
      tell.say(`its ID: ${started.agentId}`)
      return started
    })
    const running = rig
    await tellStory(tell, running)
    if (keep)
      await tell.step('KEEP=1: the node is rebooted, reactivated, and attests again', () => recover(tell, running))
    tell.line(
      `\nSeen: refused before enrolment, attested as spiffe://${TRUST_DOMAIN}/spire/agent/keylime/..., an SVID for a`,
    )
    tell.line('workload, tampering noticed by Keylime, and the tampered node refused by SPIRE.')
    tell.line(
      `Keylime agent: ${agent}. Time: ${formatSeconds((performance.now() - since) / 1000)}. Logs: ${running.logDir}`,
    )
    if (keep) await printHowToLook(tell, running, parts)
    else await running.stop()
  } catch (error) {
    await interrupted
    tell.failure(error, rig?.logDir)
    await rig?.stop()
    process.exit(1)
  }
  process.exit(0)
}

await main()
