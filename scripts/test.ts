/**
 * Runs every check and every test, and ends with the line `N passed, N failed, N skipped`.
 *
 * A check (format, types, …) counts as one test. The set-up of the real parts (SPIRE's build takes minutes) runs beside
 * the checks that do not need it.
 *
 * Usage: node scripts/test.ts [--tower] [--only checks|unit|plugin|conformance|e2e|tower]…
 *
 * The three-host tower (`--tower`) takes minutes more; `--only` names what to run and nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

interface Counts {
  passed: number
  failed: number
  skipped: number
}

interface Check {
  readonly name: string
  readonly command: readonly [string, ...string[]]
}

const root = resolve(import.meta.dirname, '..')
const reports = join(root, '.tmp', 'reports')

const CHECKS: readonly Check[] = [
  { name: 'format', command: ['biome', 'check', '.'] },
  { name: 'types', command: ['tsc'] },
  { name: 'lint', command: ['oxlint', '--type-aware'] },
  { name: 'dead code', command: ['knip', '--no-progress'] },
  { name: 'generated code is current', command: ['scripts/gen.sh', '--check'] },
  { name: 'generated docs are current', command: ['node', 'scripts/docs.ts', '--check'] },
]

const SUITES = ['unit', 'plugin', 'conformance', 'e2e', 'tower'] as const

const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
const failures: string[] = []

function run(command: readonly [string, ...string[]], quiet = false): Promise<{ code: number; output: string }> {
  const [file, ...args] = command
  // The executables are what operators run, so the tests of plugins run them, not the sources.
  const env = { ...process.env, TOWER_DIST: join(root, 'dist') }
  const child: ChildProcess = spawn(file, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      chunks.push(chunk)
      if (!quiet) process.stdout.write(chunk)
    })
  }
  return new Promise((done) => {
    child.on('error', (error) => done({ code: 127, output: `${file}: ${error.message}` }))
    child.on('close', (code) => done({ code: code ?? 1, output: chunks.join('') }))
  })
}

function note(name: string, ok: boolean, seconds: number, output = ''): void {
  if (ok) counts.passed += 1
  else {
    counts.failed += 1
    failures.push(name)
  }
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)\n${ok ? '' : output}`)
}

async function runCheck({ name, command }: Check): Promise<boolean> {
  const started = Date.now()
  const { code, output } = await run(command, true)
  note(name, code === 0, (Date.now() - started) / 1000, output)
  return code === 0
}

interface VitestReport {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  numFailedTestSuites: number
  testResults: {
    name: string
    status: string
    message?: string
    assertionResults: { status: string; fullName: string }[]
  }[]
}

async function runSuite(project: string): Promise<void> {
  const file = join(reports, `${project}.json`)
  rmSync(file, { force: true })
  process.stdout.write(`\n== ${project} tests\n`)
  const { code } = await run([
    'vitest',
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile=${file}`,
  ])
  let report: VitestReport
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    note(`${project} tests (no report: the runner stopped before its end)`, false, 0)
    return
  }
  counts.passed += report.numPassedTests
  counts.failed += report.numFailedTests
  counts.skipped += report.numPendingTests + report.numTodoTests
  const assertions = report.testResults.flatMap((result) => result.assertionResults)
  failures.push(...assertions.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName))
  // A file that fails to load, or an error outside any test, has no assertion to count.
  const broken = report.testResults.filter(
    (result) => result.status === 'failed' && result.assertionResults.every(({ status }) => status !== 'failed'),
  )
  for (const result of broken) note(`${result.name}: ${result.message ?? 'failed outside its tests'}`, false, 0)
  if (code !== 0 && report.numFailedTests === 0 && broken.length === 0)
    note(`${project} runner (error outside any test)`, false, 0)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true, default: [] }, tower: { type: 'boolean', default: false } },
  })
  const wanted = (part: string): boolean =>
    values.only.length === 0 ? part !== 'tower' || values.tower : values.only.includes(part)
  mkdirSync(reports, { recursive: true })
  // What the tower's scenarios note is of this run alone.
  if (wanted('tower')) rmSync(join(root, '.tmp', 'tower-timelines.json'), { force: true })
  const needsParts = SUITES.slice(1).some((suite) => wanted(suite))
  const towerToo = wanted('tower') ? ['--tower'] : []
  const setup = needsParts ? run(['nice', 'node', 'test/lab/parts/setup.ts', ...towerToo], true) : undefined
  if (wanted('checks')) for (const check of CHECKS) await runCheck(check)
  if (SUITES.some((suite) => wanted(suite)))
    await runCheck({ name: 'build', command: ['make', '--no-print-directory', 'build'] })
  if (wanted('unit')) await runSuite('unit')
  if (setup !== undefined) {
    const started = Date.now()
    const { code, output } = await setup
    note('set-up of the real parts', code === 0, (Date.now() - started) / 1000, output)
  }
  for (const suite of SUITES.slice(1)) if (wanted(suite)) await runSuite(suite)
  if (wanted('tower')) await run(['node', 'test/e2e/tower/report.ts'])
  if (failures.length > 0) process.stdout.write(`\nfailed:\n${failures.map((name) => `  ${name}\n`).join('')}`)
  process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`)
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
}

await main()
