/**
 * The renewal of one certificate as a plan: obtain, check, put in place, reload, prove; or everything as it was.
 *
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { EXIT } from '../exit-codes.ts'
import { readersProblem } from '../node/access.ts'
import { accountOf } from '../node/accounts.ts'
import { OperatorError } from '../operator-error.ts'
import type { Plan, Step } from '../plan/step.ts'
import type { CertSpec } from './cert-spec.ts'
import { pairProblems } from './check-pair.ts'
import { failureOf, runProgram } from './commands.ts'
import { type ObtainOptions, obtainPair } from './obtain.ts'
import { type NewPair, type Swapped, swapPair } from './pair-swap.ts'
import { whyNotServed } from './proof.ts'

/** How long a service may take to restart. */
const RELOAD_MS = 60_000

/** What a renewal has made so far; handed from step to step. */
interface Progress {
  pair?: NewPair
  swapped?: Swapped
}

/**
 * Plans the renewal of one certificate.
 *
 * @param spec The certificate.
 * @param options Limits, clock, where to report.
 * @returns The plan; its steps are taken back when one fails.
 */
export function renewalPlan(spec: CertSpec, options: Omit<ObtainOptions, 'signal'>): Plan {
  const progress: Progress = {}
  return {
    verb: 'renew',
    subject: spec.name,
    onFailure: 'undo',
    steps: [
      obtainStep(spec, progress, options),
      ...(spec.announce_file === undefined ? [] : [announceStep(spec, spec.announce_file, progress)]),
      swapStep(spec, progress),
      ...(spec.reload.length > 0 && spec.announce_file === undefined ? [reloadStep(spec)] : []),
      ...(spec.handshake === undefined ? [] : [proveStep(spec, progress)]),
    ],
  }
}

function obtainStep(spec: CertSpec, progress: Progress, options: Omit<ObtainOptions, 'signal'>): Step {
  return {
    id: 'obtain',
    title: `make a key here and have ${spec.issuer === 'self' ? 'it signed by itself' : `${spec.issuer} sign its request`}: ${spec.common_name}`,
    act: async (signal) => {
      const pair = await obtainPair(spec, { ...options, signal })
      const problems = pairProblems(pair, spec, options.now)
      if (problems.length > 0) throw unfit(spec, problems)
      progress.pair = pair
      const leaf = new X509Certificate(pair.chain)
      return { serial: leaf.serialNumber, not_after: leaf.validToDate.toISOString() }
    },
  }
}

// For a client that one service knows by its very certificate: the service must know the new one before it is shown.
function announceStep(spec: CertSpec, file: string, progress: Progress): Step {
  return {
    id: 'announce',
    title: `tell the service: ${file}, then ${spec.reload.join(' ')}`,
    act: async () => {
      writeFileSync(file, pairIn(progress).chain, { mode: 0o644 })
      await reload(spec)
      return {}
    },
  }
}

function swapStep(spec: CertSpec, progress: Progress): Step {
  return {
    id: 'swap',
    title: `put ${spec.cert_file} and ${spec.key_file} in place`,
    act: () => {
      const owner = spec.owner === '' ? undefined : accountOf(spec.owner)
      const first = { certMode: 0o644, keyMode: Number.parseInt(spec.key_mode, 8), owner }
      progress.swapped = swapPair(pairIn(progress), { certFile: spec.cert_file, keyFile: spec.key_file }, first)
      return Promise.resolve({})
    },
    verify: async () => {
      const problem = await readersProblem(spec.readers, [spec.cert_file, spec.key_file])
      if (problem !== undefined) throw unfit(spec, [problem])
    },
    undo: async () => {
      if (progress.swapped === undefined) return
      progress.swapped.back()
      if (spec.reload.length > 0 && spec.announce_file === undefined) await reload(spec)
    },
  }
}

function reloadStep(spec: CertSpec): Step {
  return {
    id: 'reload',
    title: `have the service read them: ${spec.reload.join(' ')}`,
    act: async () => {
      await reload(spec)
      return {}
    },
  }
}

function proveStep(spec: CertSpec, progress: Progress): Step {
  return {
    id: 'prove',
    title: `shake hands with ${spec.handshake} as every peer would`,
    act: async (signal) => {
      const leaf = new X509Certificate(pairIn(progress).chain)
      const wrong = await whyNotServed(spec, leaf, spec.handshake_within, signal)
      if (wrong !== undefined) throw unfit(spec, [wrong])
      return { serial: leaf.serialNumber }
    },
  }
}

async function reload({ name, reload: words }: CertSpec): Promise<void> {
  if (words.length === 0) return
  const failure = failureOf(words, await runProgram(words, { timeoutMs: RELOAD_MS }))
  if (failure !== undefined) throw new OperatorError('TK-RENEW-RELOAD', `${name}: ${failure}`, { exit: EXIT.critical })
}

function pairIn({ pair }: Progress): NewPair {
  if (pair === undefined) throw new Error('no pair was obtained')
  return pair
}

function unfit({ name }: CertSpec, problems: readonly string[]): OperatorError {
  return new OperatorError('TK-RENEW-UNFIT', `${name}: ${problems.join('; ')}`, { exit: EXIT.critical })
}
