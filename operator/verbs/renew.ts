/**
 * `towerkeep renew`.
 *
 * @module
 */
import { lifeLeft, lifeOf } from '@tower-of-omens/keylime/tls-files'
import type { VerbContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { RENEW } from '../flags/acting.ts'
import { OperatorError } from '../operator-error.ts'
import { runOptions } from '../plan/from-flags.ts'
import { type RunOptions, type RunOutcome, runPlan } from '../plan/run.ts'
import { type CertSpec, readCertFolder, type WrongCertFile } from '../renew/cert-spec.ts'
import { leafIn, whyUnfitKey } from '../renew/check-pair.ts'
import { failureOf, runProgram } from '../renew/commands.ts'
import { dueOf } from '../renew/due.ts'
import { type RenewalSeen, writeMetricsFile } from '../renew/metrics-file.ts'
import { renewalPlan } from '../renew/renewal.ts'
import type { Report } from '../report.ts'

/** How one certificate went. */
interface Renewed {
  readonly cert: string
  /** `invalid`: its description cannot be followed, and nothing was done. */
  readonly outcome: RunOutcome['outcome'] | 'not-due' | 'invalid'
  readonly exit: ExitCode
  readonly serial: string | null
  /** ISO 8601. */
  readonly not_after: string | null
  readonly messages: readonly string[]
}

const HOOK_MS = 60_000
/** The worst first. */
const WORST: readonly ExitCode[] = [EXIT.critical, EXIT.tryLater, EXIT.unknown, EXIT.warning, EXIT.ok]

/**
 * Renews what is due.
 *
 * @param context Flags and words.
 * @returns One item a certificate, also for a wrong description; the exit code is the worst of theirs.
 * @throws {OperatorError} `TK-USAGE`: no such certificate, or none was named.
 */
export async function run(context: VerbContext<typeof RENEW>): Promise<Report> {
  const { flags, progress, signal } = context
  const described = readCertFolder(flags.certs)
  const names = chosen([...described.specs, ...described.wrong], context.words, flags.all)
  const specs = names.flatMap((name) => described.specs.filter((spec) => spec.name === name))
  const options = runOptions(flags, { progress, signal })
  const items: Renewed[] = described.wrong.filter(({ name }) => names.includes(name)).map(invalidItem)
  for (const spec of specs) items.push(await renewed(spec, options, { force: flags.force, timeoutMs: flags.timeout }))
  if (flags['metrics-file'] !== undefined && !flags['dry-run']) {
    writeMetricsFile(flags['metrics-file'], items.map(seenOf(specs)), Date.now())
  }
  const exit = worstExit(items)
  const lines = items.map((item) => `${item.cert}: ${item.outcome}${tail(item)}`)
  return {
    schema: 'towerkeep/renew/v1',
    exit,
    summary: { certificates: items.length, renewed: items.filter(({ outcome }) => outcome === 'done').length },
    items,
    findings: [],
    unknown: [],
    text: () => `${[...lines, ...(items.length === 0 ? ['no certificate is described'] : [])].join('\n')}\n`,
    short: () => `${lines.join('\n')}\n`,
  }
}

// A code that is in no list is worse than all that are.
function worstExit(items: readonly Renewed[]): ExitCode {
  const [worst] = items.map(({ exit }) => exit).toSorted((a, b) => WORST.indexOf(a) - WORST.indexOf(b))
  return worst ?? EXIT.ok
}

function chosen(
  described: readonly { readonly name: string }[],
  words: readonly string[],
  all: boolean,
): readonly string[] {
  const names = described.map(({ name }) => name).toSorted()
  if (all) return names
  const known = names.join(', ') || 'none'
  if (words.length === 0) throw new OperatorError('TK-USAGE', `name certificates (${known}), or add --all`)
  const strange = words.find((word) => !names.includes(word))
  if (strange !== undefined)
    throw new OperatorError('TK-USAGE', `no certificate ${strange} is described; there are: ${known}`)
  return words
}

function invalidItem({ name, problems }: WrongCertFile): Renewed {
  return { cert: name, outcome: 'invalid', exit: EXIT.usage, serial: null, not_after: null, messages: problems }
}

async function renewed(
  spec: CertSpec,
  options: RunOptions,
  { force, timeoutMs }: { readonly force: boolean; readonly timeoutMs: number },
): Promise<Renewed> {
  const now = Date.now()
  const due = dueOf(leafIn(spec.cert_file), now, force) ?? whyUnfitKey(spec)
  if (due === undefined) return itemOf(spec, 'not-due', EXIT.ok, [])
  options.say(`${spec.name}: ${due}`)
  const ran = await runPlan(renewalPlan(spec, { timeoutMs, now, say: options.say }), options)
  if (ran.outcome === 'dry-run') return itemOf(spec, 'dry-run', EXIT.ok, [])
  const hookFailure = await hook(
    spec,
    ran.exit === EXIT.ok ? 'renewed' : ran.exit === EXIT.tryLater ? 'later' : 'failed',
  )
  const exit = ran.exit === EXIT.ok && hookFailure !== undefined ? EXIT.warning : ran.exit
  return itemOf(spec, ran.outcome, exit, [...ran.messages, ...(hookFailure === undefined ? [] : [hookFailure])])
}

async function hook(spec: CertSpec, outcome: string): Promise<string | undefined> {
  if (spec.hook.length === 0) return undefined
  const env = {
    TOWERKEEP_CERT: spec.name,
    TOWERKEEP_OUTCOME: outcome,
    TOWERKEEP_SERIAL: leafIn(spec.cert_file)?.serialNumber ?? '',
  }
  const failure = failureOf(spec.hook, await runProgram(spec.hook, { env, timeoutMs: HOOK_MS }))
  return failure === undefined ? undefined : `hook ${failure}`
}

function itemOf(spec: CertSpec, outcome: Renewed['outcome'], exit: ExitCode, messages: readonly string[]): Renewed {
  const leaf = leafIn(spec.cert_file)
  return {
    cert: spec.name,
    outcome,
    exit,
    serial: leaf?.serialNumber ?? null,
    not_after: leaf?.validToDate.toISOString() ?? null,
    messages,
  }
}

function seenOf(specs: readonly CertSpec[]): (item: Renewed) => RenewalSeen {
  return ({ cert, outcome, exit }) => {
    const leaf = leafIn(specs.find(({ name }) => name === cert)?.cert_file ?? '')
    const done = exit === EXIT.ok || exit === EXIT.warning
    const result = outcome === 'not-due' ? 'not-due' : done ? 'renewed' : exit === EXIT.tryLater ? 'later' : 'failed'
    return { cert, result, left: leaf === undefined ? undefined : lifeLeft(lifeOf(leaf), Date.now()) }
  }
}

function tail({ not_after: until, messages }: Renewed): string {
  const ends = until === null ? '' : `, ends ${until}`
  return `${ends}${messages.length > 0 ? `: ${messages.join('; ')}` : ''}`
}
