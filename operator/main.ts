/**
 * The executable `towerkeep`: parses the command line, loads the verb, prints what it has to say.
 *
 * @module
 */
import type { Build, VerbContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { type Parsed, parseCommandLine } from './flags/program.ts'
import type { VerbSpec } from './flags/spec.ts'
import { loadVerb } from './load-verb.ts'
import { OperatorError } from './operator-error.ts'
import { printable } from './render/printable.ts'
import { styleFor } from './render/style.ts'
import { errorEnvelope, printed, printedJson, type Report, type ReportStamp } from './report.ts'

const build: Build = {
  version: process.env['TOWER_VERSION'] ?? '0.0.0-checkout',
  commit: process.env['TOWER_COMMIT'] ?? '',
}

/**
 * Runs one command line.
 *
 * @param argv Words after the program's name.
 * @returns The exit code.
 */
async function main(argv: readonly string[]): Promise<number> {
  const started = performance.now()
  const stamp = (): ReportStamp => ({ ...build, at: new Date(), seconds: (performance.now() - started) / 1000 })
  let parsed: Parsed | undefined
  try {
    const line = parseCommandLine(argv, build.version)
    if ('help' in line) return say(line.help)
    parsed = line
    const said = await runVerb(line)
    return typeof said === 'number' ? said : sayReport(said, line, stamp())
  } catch (error) {
    return sayError(operatorError(error), wantsJson(parsed, argv), stamp())
  }
}

async function runVerb(parsed: Parsed): Promise<Report | number> {
  const verb = await loadVerb(parsed.verb)
  using ending = endingSignal()
  const quiet = parsed.flags['quiet'] === true
  const progress = (line: string): void => {
    if (!quiet) process.stderr.write(`${printable(line)}\n`)
  }
  const { words, flags } = parsed
  const context = { flags, words, build, stdout: process.stdout, progress, signal: ending.signal }
  // The parser has checked the flags against the verb's own description.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return await verb.run(context as unknown as VerbContext<VerbSpec>)
}

function sayReport(report: Report, { flags }: Parsed, stamp: ReportStamp): ExitCode {
  const style = styleFor(process.stdout, flags['color'] === 'never' ? 'never' : 'auto')
  const form = flags['output']
  say(printed(report, form === 'json' || form === 'short' ? form : 'text', stamp, style))
  return report.exit
}

/** Errors are one JSON document on standard output where JSON was asked for, else a line on standard error. */
function sayError(error: OperatorError, json: boolean, stamp: ReportStamp): ExitCode {
  if (json) say(printedJson(errorEnvelope(error, stamp)))
  else process.stderr.write(`towerkeep: ${printable(error.message)} [${error.code}]\n`)
  return error.exit
}

// A command line that does not parse may still have said how it wants its errors.
function wantsJson(parsed: Parsed | undefined, argv: readonly string[]): boolean {
  if (parsed !== undefined) return parsed.flags['output'] === 'json'
  const at = argv.findIndex((word) => word === '--output' || word === '-o')
  return argv.includes('--output=json') || argv.includes('-ojson') || (at >= 0 && argv[at + 1] === 'json')
}

function operatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new OperatorError('TK-FAULT', `a fault of towerkeep itself: ${message}`, { exit: EXIT.fault, cause: error })
}

function say(text: string): ExitCode {
  process.stdout.write(text)
  return EXIT.ok
}

function endingSignal(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController()
  const end = (): void => controller.abort()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, end)
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, end)
    },
  }
}

// A reader that has gone away, as `head` does, is no error; a full disk is, since nobody has the answer then.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  process.stderr.write(`towerkeep: standard output cannot be written (${error.code ?? error.message}) [TK-FAULT]\n`)
  process.exit(EXIT.fault)
})
void (async () => {
  process.exitCode = await main(process.argv.slice(2))
})()
