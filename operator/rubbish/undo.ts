/**
 * The return of leftovers that were deleted.
 *
 * @module
 */
import { type AgentId, isAgentId } from '@tower-of-omens/keylime'
import type { Registration } from '@tower-of-omens/keylime/api'
import { createEntries } from '@tower-of-omens/spire-api'
import { OperatorError } from '../operator-error.ts'
import { DoneButLook, type Step } from '../plan/step.ts'
import { policyText } from '../policy/windows.ts'
import type { KeylimeAdminSources, VerifierPair } from '../sources/admin.ts'
import { type Deleting, unlessUnknown } from './delete.ts'
import type { UndoFile } from './undo-file.ts'

/**
 * Plans the return of what a run deleted.
 *
 * @param undo From its undo file.
 * @param deleting Where it goes.
 * @returns Steps for entries and enrolments; registrations and agents come back by themselves.
 */
export function undoSteps(undo: UndoFile, { keylime, spire }: Pick<Deleting, 'keylime' | 'spire'>): readonly Step[] {
  const [server] = spire
  const entries: readonly Step[] =
    server === undefined || undo.entries.length === 0
      ? []
      : [
          {
            id: 'entries',
            title: `make ${undo.entries.length} entries again`,
            act: async (signal) => {
              const results = await createEntries(server, undo.entries, { signal })
              const failed = results.filter(({ code }) => code !== 0 && code !== 6)
              if (failed.length > 0) throw new Error(`${failed.length} were refused: ${failed[0]?.message}`)
              return { entries: results.length }
            },
          },
        ]
  return [...entries, ...undo.enrolments.map((one) => enrolAgain(one, keylime))]
}

function enrolAgain(one: UndoFile['enrolments'][number], { verifiers, registrars }: KeylimeAdminSources): Step {
  const { agentId } = one
  const [verifier, registrar] = [verifiers[0], registrars[0]]
  if (!isAgentId(agentId) || verifier === undefined || registrar === undefined)
    throw new OperatorError('TK-USAGE', `${agentId}: is no agent ID, or no verifier or registrar is known`)
  return {
    id: `enrol-${agentId}`,
    title: `enrol ${agentId} again`,
    isDone: async (signal) => (await unlessUnknown(verifier.reader.getAgent(agentId, { signal }))) !== undefined,
    act: async (signal) => {
      // Without them it would pass for less than it had to.
      if (one.lacks.length > 0)
        throw new DoneButLook(
          `${agentId} is not enrolled: its ${one.lacks.join(' and ')} was not kept; enrol it with towerkeep enroll accept`,
        )
      const known = await unlessUnknown(registrar.admin.getRegistration(agentId, { signal }))
      const registration = known ?? registrationIn(agentId, one)
      if (registration === undefined) throw new DoneButLook(`${agentId} is not enrolled: no registrar knows its keys`)
      await verifier.admin.enrol(agentId, enrolmentAgain(one, registration, verifier), { signal })
      return { agent: agentId }
    },
  }
}

function enrolmentAgain(
  one: UndoFile['enrolments'][number],
  registration: Registration,
  { reader }: VerifierPair,
): Parameters<VerifierPair['admin']['enrol']>[1] {
  const address = reader.name.replace(/^.* /, '')
  const at = address.lastIndexOf(':')
  return {
    registration,
    ...(one.ip !== undefined && one.port !== undefined && { contact: { host: one.ip, port: one.port } }),
    verifier: { host: address.slice(0, at), port: Number(address.slice(at + 1)) },
    tpmPolicy: policyText(one.tpmPolicy),
    ...(one.runtimePolicy !== undefined && { runtimePolicy: { text: one.runtimePolicy } }),
    ...(one.measuredBootPolicy !== undefined && { measuredBootPolicy: { text: one.measuredBootPolicy } }),
  }
}

function registrationIn(agentId: AgentId, { registration }: UndoFile['enrolments'][number]): Registration | undefined {
  if (registration === undefined) return undefined
  const { ekTpm, akTpm, mtlsCert } = registration
  return {
    agentId,
    ekTpm: Buffer.from(ekTpm, 'base64'),
    akTpm: Buffer.from(akTpm, 'base64'),
    ...(mtlsCert !== undefined && { mtlsCert }),
  }
}
