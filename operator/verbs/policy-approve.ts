/**
 * `towerkeep policy approve`.
 *
 * @module
 */
import { refusedBecause, requireSources } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { POLICY_APPROVE } from '../flags/policy.ts'
import { type Fleet, type FleetHost, gatherFleet } from '../fleet.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { type RunOutcome, runPlan } from '../plan/run.ts'
import type { Plan, Step } from '../plan/step.ts'
import { policyHost, presentPcrs } from '../policy/host-policy.ts'
import { closeWindow, isOver, openWindows, type Window, windowStep } from '../policy/open-windows.ts'
import { reEnrolStep } from '../policy/re-enrol.ts'
import { comparedPcrs, narrowed, widened } from '../policy/windows.ts'
import type { Report } from '../report.ts'
import { type KeylimeAdminSources, openKeylimeAdmin } from '../sources/admin.ts'
import { openSources } from '../sources/open.ts'

type Context = VerbContext<typeof POLICY_APPROVE>

/**
 * Accepts the boot that a host proves now beside the one before, for a while; or ends that while.
 *
 * @param context Flags, and the host.
 * @returns The report.
 * @throws {OperatorError} The host is not known, or its quote proves nothing.
 */
export async function run(context: Context): Promise<Report> {
  const { flags, words, signal } = context
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  await using keylime = openKeylimeAdmin(sources.services, flags.timeout)
  if (flags.due) {
    const fleet = await gatherFleet(sources, signal)
    requireSources(fleet, ['verifier', 'registrar'])
    return await endDue(context, fleet, keylime)
  }
  const host = await policyHost(sources, words[0], signal)
  if (host.record === undefined) throw refusedBecause(`${host.name} is not enrolled`)
  const window = openWindows(flags.windows).find(({ agent_id: id }) => id === host.agentId)
  if (flags.end) {
    const steps = window === undefined ? [] : endSteps(host, window, keylime, context)
    return await carryOut(context, { verb: 'policy approve', subject: host.name, onFailure: 'undo', steps })
  }
  return await carryOut(context, await approval(host, keylime, context))
}

async function approval(host: FleetHost, keylime: KeylimeAdminSources, { flags, signal }: Context): Promise<Plan> {
  const enrolled = host.record?.value.tpmPolicy ?? '{}'
  const pcrs = comparedPcrs(enrolled).filter((pcr) => pcr !== 10 && pcr !== 16)
  const proved = await presentPcrs(host, keylime, { pcrs, times: flags.quotes }, signal)
  const until = new Date(Date.now() + flags.window).toISOString()
  const keep = Object.fromEntries([...proved.pcrs].map(([pcr, value]) => [String(pcr), value]))
  return {
    verb: 'policy approve',
    subject: host.name,
    onFailure: 'undo',
    confirm: { word: host.name, what: "the host's name" },
    notes: [`old and new boot pass until ${until}, then only the new one`],
    // The window first: what is let pass without one would pass for ever.
    steps: [
      windowStep(flags.windows, {
        schema: 'towerkeep/window/v1',
        host: host.name,
        agent_id: host.agentId,
        until,
        pcrs: keep,
      }),
      reEnrolStep(host, keylime, { tpmPolicy: widened(enrolled, proved.pcrs), withinMs: flags.within }),
    ],
    undoCommand: `towerkeep policy approve ${host.name} --end`,
  }
}

// A plan for each, so that a host that cannot be re-enrolled keeps no other's window open.
async function endDue(context: Context, fleet: Fleet, keylime: KeylimeAdminSources): Promise<Report> {
  const plan: Plan = { verb: 'policy approve', subject: 'due', onFailure: 'keep', steps: [] }
  const ran: RunOutcome[] = []
  for (const window of openWindows(context.flags.windows).filter((one) => isOver(one, Date.now()))) {
    const host = fleet.hosts.find(({ agentId }) => agentId === window.agent_id)
    if (host?.record === undefined) continue
    const one = { ...plan, subject: host.name, steps: endSteps(host, window, keylime, context) }
    ran.push(await runPlan(one, runOptions(context.flags, context)))
  }
  return changeReport(plan, together(ran))
}

function together(ran: readonly RunOutcome[]): RunOutcome {
  const worst = ran.find(({ exit }) => exit === EXIT.critical) ?? ran.find(({ exit }) => exit !== EXIT.ok) ?? ran[0]
  if (worst === undefined) return { exit: EXIT.ok, outcome: 'nothing-to-do', steps: [], messages: [] }
  const { error: _, ...rest } = worst
  return {
    ...rest,
    steps: ran.flatMap(({ steps }) => steps),
    messages: [...new Set(ran.flatMap(({ messages }) => messages))],
  }
}

function endSteps(host: FleetHost, window: Window, keylime: KeylimeAdminSources, { flags }: Context): readonly Step[] {
  const values = new Map(Object.entries(window.pcrs).map(([pcr, value]) => [Number(pcr), value]))
  const next = narrowed(host.record?.value.tpmPolicy ?? '{}', values)
  return [
    reEnrolStep(host, keylime, { tpmPolicy: next, withinMs: flags.within }),
    {
      id: `close-${host.agentId}`,
      title: `close the window of ${host.name}`,
      act: () => {
        closeWindow(flags.windows, host.agentId)
        return Promise.resolve({ host: host.name })
      },
    },
  ]
}

async function carryOut(context: Context, plan: Plan): Promise<Report> {
  return changeReport(plan, await runPlan(plan, runOptions(context.flags, context)))
}
