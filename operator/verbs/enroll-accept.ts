/**
 * `towerkeep enroll accept`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { isAgentId, isKeylimeError } from '@tower-of-omens/keylime'
import type { RegistrarRecord } from '@tower-of-omens/keylime/api'
import { judgeEkChain, loadEkAnchors, registeredKeys } from '@tower-of-omens/keylime/evidence'
import type { SpireConnection } from '@tower-of-omens/spire-api'
import { attestedWithin } from '../act/ban.ts'
import { BLANK_ENTRY, createStep, parseSelector } from '../act/entries.ts'
import { refusedBecause, requireSources } from '../act/preconditions.ts'
import { until } from '../act/waiting.ts'
import { pluginKeys } from '../checks/tls-uses.ts'
import type { VerbContext } from '../context.ts'
import type { ENROLL_ACCEPT } from '../flags/enroll.ts'
import { agentPrefix, gatherFleet } from '../fleet.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import { DoneButLook, type Plan, type Step } from '../plan/step.ts'
import { pcrNumbers } from '../policy/pcr-numbers.ts'
import { provePcrs } from '../policy/prove-pcrs.ts'
import { enrolNow, requireSuccess } from '../policy/re-enrol.ts'
import { policyMembers, policyOf, policyText, type TpmPolicyText } from '../policy/windows.ts'
import type { Report } from '../report.ts'
import { unlessUnknown } from '../rubbish/delete.ts'
import { type KeylimeAdminSources, openKeylimeAdmin } from '../sources/admin.ts'
import { type OpenSources, openSources } from '../sources/open.ts'

type Context = VerbContext<typeof ENROLL_ACCEPT>

/** What the steps hand to each other. */
interface Accepting {
  readonly agentId: string
  readonly host: string
  record?: RegistrarRecord
}

/**
 * Takes a node into the tower: its TPM is the one that was named, its policy is enrolled, its workloads have entries.
 *
 * @param context Flags, and the host's name.
 * @returns The report.
 * @throws {OperatorError} A source is away, or the flags contradict each other.
 */
export async function run(context: Context): Promise<Report> {
  const { flags, words, progress, signal } = context
  const agentId = flags['agent-id']
  if (!isAgentId(agentId)) throw new OperatorError('TK-USAGE', `--agent-id ${agentId}: is no agent ID`)
  if ((flags.policy === undefined) === (flags.baseline === undefined)) {
    throw new OperatorError('TK-USAGE', 'give either --policy FILE or --baseline PCRS')
  }
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const fleet = await gatherFleet(sources, signal)
  requireSources(fleet, ['verifier', 'registrar', 'spire'])
  await using keylime = openKeylimeAdmin(sources.services, flags.timeout)
  const accepting: Accepting = { agentId, host: words[0] ?? agentId }
  const spiffeId = `${agentPrefix(sources)}${agentId}`
  const [server] = sources.spire
  const plan: Plan = {
    verb: 'enroll accept',
    subject: accepting.host,
    onFailure: 'keep',
    confirm: { word: accepting.host, what: "the host's name" },
    steps: [
      registeredStep(accepting, keylime, sources, context),
      enrolStep(accepting, keylime, context),
      ...(server === undefined ? [] : entrySteps(server, spiffeId, context)),
      ...(flags.unattested ? [] : [attestStep(sources, spiffeId, context)]),
    ],
    undoCommand: `towerkeep gc ${accepting.host} --delete`,
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  return changeReport(plan, outcome, { summary: { host: accepting.host, agent_id: agentId, spiffe_id: spiffeId } })
}

// The registrar's record is what anybody could have written: its keys must be those that the node has shown to a person.
function registeredStep(
  accepting: Accepting,
  { registrars }: KeylimeAdminSources,
  { site }: OpenSources,
  { flags, signal }: Context,
): Step {
  return {
    id: 'registered',
    title: `find ${accepting.agentId} at the registrar, with the endorsement key that was named`,
    act: async () => {
      const record = await until(() => recordAt(registrars, accepting.agentId, signal), {
        withinMs: flags.within,
        signal,
      })
      if (record === undefined)
        throw refusedBecause(
          `no registrar knows ${accepting.agentId}: is keylime_agent running on ${accepting.host}, and registrar_ip right?`,
        )
      const { ekUuid, ek } = registeredKeys(record)
      const named = flags.ek.replace(/^sha256:/, '').toLowerCase()
      if (ekUuid !== named) {
        throw refusedBecause(
          `the registered endorsement key has the hash ${ekUuid}, named was ${named}: another machine has registered under this ID`,
        )
      }
      const path = pluginKeys(site, 'server')('ek_ca_path')
      const { anchors } = path === undefined ? { anchors: undefined } : loadEkAnchors(path.value)
      if (anchors !== undefined) {
        const judged =
          record.ekCert === undefined
            ? { fault: 'untrusted', reason: 'there is none' }
            : judgeEkChain(record.ekCert, ek, anchors, { now: new Date(), decide: false })
        if ('fault' in judged)
          throw refusedBecause(`the endorsement certificate of ${accepting.host} is not accepted: ${judged.reason}`)
      }
      accepting.record = record
      return { ek: ekUuid, ip: record.ip ?? '' }
    },
  }
}

async function recordAt(
  registrars: KeylimeAdminSources['registrars'],
  id: string,
  signal: AbortSignal,
): Promise<RegistrarRecord | undefined> {
  if (!isAgentId(id)) return undefined
  for (const { reader } of registrars) {
    try {
      return await reader.getAgent(id, { signal })
    } catch (error) {
      if (!isKeylimeError(error, 'KEYLIME_AGENT_UNKNOWN')) throw error
    }
  }
  return undefined
}

function enrolStep(accepting: Accepting, keylime: KeylimeAdminSources, { flags, signal: outer }: Context): Step {
  const [verifier] = keylime.verifiers
  const wanted = flags.policy === undefined ? undefined : readPolicy(flags.policy)
  return {
    id: 'enrolled',
    title: `enrol ${accepting.host} with ${flags.policy ?? `what its TPM proves of PCR ${flags.baseline} now`}`,
    isDone: async () => {
      if (verifier === undefined || !isAgentId(accepting.agentId)) return false
      const known = await unlessUnknown(verifier.reader.getAgent(accepting.agentId, { signal: outer }))
      if (known === undefined) return false
      const isAsWanted =
        wanted === undefined
          ? comparesAll(known.tpmPolicy, pcrNumbers(flags.baseline ?? ''))
          : isSamePolicy(known.tpmPolicy, wanted)
      if (!isAsWanted) throw otherPolicy(accepting, known.tpmPolicy)
      return (known.attestationCount ?? 0) > 0
    },
    act: async (signal) => {
      const { record, agentId } = accepting
      if (verifier === undefined || record === undefined || !isAgentId(agentId))
        throw new Error('the registrar was not asked')
      const tpmPolicy = wanted ?? (await provedPolicy(record, keylime, flags, signal))
      try {
        await enrolNow(agentId, keylime, verifier, { tpmPolicy, withinMs: flags.within }, signal)
      } catch (error) {
        if (!isKeylimeError(error, 'KEYLIME_CONFLICT')) throw error
        // Enrolled by an earlier run that was cut off, or by somebody else.
        const known = await verifier.reader.getAgent(agentId, { signal })
        if (!isSamePolicy(known.tpmPolicy, tpmPolicy)) throw otherPolicy(accepting, known.tpmPolicy)
      }
      return { tpm_policy: JSON.stringify(tpmPolicy) }
    },
    verify: async (signal) => {
      if (verifier !== undefined && isAgentId(accepting.agentId))
        await requireSuccess(verifier, accepting.agentId, flags.within, signal)
    },
  }
}

async function provedPolicy(
  record: RegistrarRecord,
  keylime: KeylimeAdminSources,
  flags: Context['flags'],
  signal: AbortSignal,
): Promise<TpmPolicyText> {
  const agent = keylime.agent({ host: record.ip ?? '', port: record.port ?? 9002 })
  const { pcrs } = await provePcrs(agent, record, { pcrs: pcrNumbers(flags.baseline ?? ''), times: 3 }, signal)
  return policyOf(pcrs)
}

function readPolicy(file: string): TpmPolicyText {
  try {
    return policyText(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `--policy ${file}: cannot be read as JSON`, { cause })
  }
}

function otherPolicy({ host }: Accepting, enrolled: string): Error {
  return refusedBecause(
    `${host} is enrolled with another policy: ${enrolled.slice(0, 200)}; towerkeep policy baseline, or gc it first`,
  )
}

// The values were proved when it was enrolled; that they are compared at all is what an earlier run has left.
function comparesAll(enrolled: string, pcrs: readonly number[]): boolean {
  const members = policyMembers(enrolled)
  return pcrs.every((pcr) => (members.get(String(pcr)) ?? []).some((value) => value !== ''))
}

function isSamePolicy(enrolled: string, wanted: TpmPolicyText): boolean {
  return sortedText(enrolled) === sortedText(JSON.stringify(wanted))
}

function sortedText(policy: string): string {
  const members = [...policyMembers(policy)].map(([key, values]) => `${key}=${values.toSorted().join()}`)
  return members.toSorted().join(';')
}

function entrySteps(server: SpireConnection, spiffeId: string, { flags }: Context): readonly Step[] {
  return flags.entry.map((text) => {
    const at = text.indexOf('=')
    const id = text.slice(0, at)
    if (at < 1) throw new OperatorError('TK-USAGE', `--entry ${text}: expected SPIFFE-ID=SELECTOR[,SELECTOR]`)
    const selectors = text
      .slice(at + 1)
      .split(',')
      .map(parseSelector)
    return createStep(server, { ...BLANK_ENTRY, spiffeId: id, parentId: spiffeId, selectors }, `make the entry ${id}`)
  })
}

function attestStep({ spire }: OpenSources, spiffeId: string, { flags }: Context): Step {
  return {
    id: 'attested',
    title: `wait until ${spiffeId} is attested`,
    act: async (signal) => {
      if (await attestedWithin(spire, spiffeId, { withinMs: flags.within, signal })) return { agent: spiffeId }
      throw new DoneButLook(
        `enrolled, and its SPIRE agent has not attested within ${flags.within / 1000} s: look at spire-agent on the node`,
      )
    },
  }
}
