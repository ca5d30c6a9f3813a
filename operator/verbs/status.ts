/**
 * `towerkeep status`.
 *
 * @module
 */
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { STATUS } from '../flags/reading.ts'
import { gatherFleet } from '../fleet.ts'
import { pause } from '../pause.ts'
import { styleFor } from '../render/style.ts'
import { ending, printed, type Report } from '../report.ts'
import { askDaemon, readSocketOf } from '../sources/daemon.ts'
import { type OpenSources, openSources } from '../sources/open.ts'
import { reportOfDocument, type StatusReport, statusReport } from '../status/report.ts'

/** Time between two looks of `--watch` and `--wait`. */
const LOOK_EVERY_MS = 2_000

type Context = VerbContext<typeof STATUS>

/**
 * Shows how each host stands: once, again and again, or until it is as asked for.
 *
 * @param context Flags, and the hosts that are asked for.
 * @returns The report, or the exit code of `--watch`.
 * @throws {OperatorError} A configuration is wrong, or a word names no host.
 */
export async function run(context: Context): Promise<Report | number> {
  const { flags } = context
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  // Awaited here, since the sources close when this function ends.
  if (flags.watch) return await watch(context, sources)
  return flags.wait ? await wait(context, sources) : await look(context, sources)
}

async function look(context: Context, sources: OpenSources): Promise<StatusReport> {
  const { flags, words, signal } = context
  const began = performance.now()
  const took = (): number => (performance.now() - began) / 1000
  const document = await askDaemon(readSocketOf(sources.site), statusPath(context))
  const fromDaemon = document === undefined ? undefined : reportOfDocument(document, took())
  if (fromDaemon !== undefined) return fromDaemon
  const now = Date.now()
  const fleet = await gatherFleet(sources, signal, now)
  const question = { words, maxAgeMs: flags['max-age'], failOn: flags['fail-on'] }
  return statusReport(fleet, question, now, took())
}

function statusPath({ flags, words }: Context): string {
  const query = new URLSearchParams({ fail_on: flags['fail-on'] })
  for (const word of words) query.append('host', word)
  if (flags['max-age'] !== undefined) query.set('max_age_ms', String(flags['max-age']))
  return `/status?${query.toString()}`
}

async function watch(context: Context, sources: OpenSources): Promise<number> {
  const { flags, stdout, build, signal } = context
  const style = styleFor(stdout, flags.color)
  for (;;) {
    const report = await look(context, sources)
    if (signal.aborted) return EXIT.ok
    const stamp = { ...build, at: new Date(), seconds: 0 }
    if (stdout.isTTY) stdout.write('\u001b[H\u001b[2J')
    stdout.write(printed(report, flags.output, stamp, style))
    if (!(await pause(LOOK_EVERY_MS, signal))) return EXIT.ok
  }
}

async function wait(context: Context, sources: OpenSources): Promise<Report> {
  const { flags, progress, signal } = context
  const until = performance.now() + flags.within
  let said = ''
  for (;;) {
    const report = await look(context, sources)
    const missing = notYet(report, flags.for)
    if (missing.length === 0) return { ...report, exit: EXIT.ok }
    const line = `waiting for ${missing.join(', ')}`
    if (line !== said) progress(line)
    said = line
    if (performance.now() >= until || !(await pause(LOOK_EVERY_MS, signal))) {
      return {
        ...report,
        exit: EXIT.critical,
        text: (style) =>
          `${report.text?.(style) ?? ending(report, { version: '', commit: '', at: new Date(), seconds: 0 }, style)}gave up: still ${line}\n`,
      }
    }
  }
}

// A fleet without hosts is not ready: whoever waits expects some.
function notYet({ items }: StatusReport, goal: 'fresh' | 'attested'): readonly string[] {
  if (items.length === 0) return ['any host']
  const missing = items.filter(
    ({ verdict, spire }) => verdict.standing !== 'admitted' || (goal === 'attested' && spire.standing !== 'attested'),
  )
  return missing.map(
    ({ host, verdict, spire }) =>
      `${host} (${verdict.code ?? (verdict.standing === 'admitted' ? spire.standing : '?')})`,
  )
}
