/**
 * `towerkeep renew devid`.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { refusedBecause } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { keyProblem } from '../devid/devid-files.ts'
import { type DevIdSpec, readDevIdSpecs } from '../devid/devid-spec.ts'
import { newDevId } from '../devid/new-devid.ts'
import type { RENEW_DEVID } from '../flags/acting.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan, Step } from '../plan/step.ts'
import { leafIn } from '../renew/check-pair.ts'
import { dueOf } from '../renew/due.ts'
import type { Report } from '../report.ts'

/**
 * Makes DevID keys in the TPM and has them certified.
 *
 * @param context Flags, and names of descriptions; without them all.
 * @returns The report.
 * @throws {OperatorError} No such description, or one that cannot be renewed.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof RENEW_DEVID>): Promise<Report> {
  const all = readDevIdSpecs(flags.devids)
  const specs = words.length === 0 ? all : words.map((word) => named(all, word))
  if (specs.length === 0) throw new OperatorError('TK-USAGE', `no DevID is described in ${flags.devids}`)
  const plan: Plan = {
    verb: 'renew devid',
    subject: specs.map(({ name }) => name).join(' '),
    onFailure: 'undo',
    steps: specs.map((spec) => stepOf(spec, flags.force, flags.timeout)),
  }
  return changeReport(plan, await runPlan(plan, runOptions(flags, { progress, signal })))
}

function named(specs: readonly DevIdSpec[], word: string): DevIdSpec {
  const found = specs.find(({ name }) => name === word)
  if (found === undefined)
    throw new OperatorError(
      'TK-USAGE',
      `no DevID ${word} is described; there are: ${specs.map(({ name }) => name).join(', ')}`,
    )
  return found
}

function stepOf(spec: DevIdSpec, force: boolean, timeoutMs: number): Step {
  const { pub_file: pubFile, priv_file: privFile, cert_file: certFile } = spec
  let made: Awaited<ReturnType<typeof newDevId>> | undefined
  return {
    id: `devid-${spec.name}`,
    title: `make a DevID key in ${spec.tpm_path} and have it certified: ${spec.common_name ?? spec.name}`,
    isDone: async () => {
      if (force || pubFile === undefined || privFile === undefined) return false
      if (dueOf(leafIn(certFile), Date.now(), false) !== undefined) return false
      const problem = await keyProblem({ certFile, tpmPath: spec.tpm_path, key: { pubFile, privFile } })
      if (problem?.is === 'unseen')
        throw refusedBecause(`whether the key of ${certFile} is in ${spec.tpm_path} cannot be seen: ${problem.message}`)
      return problem === undefined
    },
    act: async (signal) => {
      if (pubFile === undefined || privFile === undefined)
        throw refusedBecause(
          `${join(spec.from)}: names a handle, so its certificate is only checked: give pub_file and priv_file`,
        )
      made = await newDevId(spec, { pubFile, privFile }, timeoutMs, signal)
      const leaf = leafIn(certFile)
      return {
        serial: leaf?.serialNumber ?? '',
        sha256: createHash('sha256').update(readFileSync(certFile)).digest('hex'),
      }
    },
    verify: async () => {
      if (pubFile === undefined || privFile === undefined) return
      const problem = await keyProblem({ certFile, tpmPath: spec.tpm_path, key: { pubFile, privFile } })
      if (problem !== undefined) throw new Error(`${certFile} ${problem.message}`)
    },
    undo: () => Promise.resolve(made?.back()),
  }
}
