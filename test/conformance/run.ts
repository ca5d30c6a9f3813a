/**
 * `node test/conformance/run.ts [C01 ...]`: plays the conformance cases, prints a table, fails when one does not pass.
 *
 * @module
 */
import { styleText } from 'node:util'
import { buildAll, judgeName } from './build.ts'
import { CASES } from './cases.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { E2E_CASES } from './e2e-cases.ts'
import { judge, type Run, type Verdict } from './judge.ts'
import { MORE_CASES } from './more-cases.ts'
import { playAll } from './play.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const playable = [...CASES, ...MORE_CASES]
const wanted = process.argv.slice(2)
const unknown = wanted.filter((id) => !playable.some((each) => each.id === id))
if (unknown.length > 0) {
  process.stderr.write(`unknown case ${unknown.join(', ')}: cases C01 to C53 and M01 to M12 can be played here\n`)
  process.exit(2)
}
const chosen = playable.filter((each) => wanted.length === 0 || wanted.includes(each.id))

const executables = await buildAll((line) => process.stderr.write(`${line}\n`))
let played = 0
const runs = await playAll(chosen, executables, (run: Run) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${++played} runs, last ${run.id} against ${run.plugin}\u001B[K`)
})
if (process.stderr.isTTY) process.stderr.write('\r\u001B[K')

const verdicts = chosen.map((each) => judge(each, runs))
for (const [index, verdict] of verdicts.entries()) row(chosen[index], verdict)
if (wanted.length === 0)
  for (const each of E2E_CASES) say(`${each.id}  e2e    ${pad(judgeName(each.via))} ${each.case}`)

const failed = verdicts.filter((verdict) => !verdict.passed)
const elsewhere = wanted.length === 0 ? `, ${E2E_CASES.length} are played by the e2e tests` : ''
say(`${verdicts.length - failed.length} of ${verdicts.length} cases pass in ${runs.length} runs${elsewhere}`)
// Nothing played is no success.
process.exitCode = failed.length === 0 && runs.length > 0 ? 0 : 1

function row(subject: ConformanceCase | undefined, verdict: Verdict): void {
  if (subject === undefined) return
  const mark = verdict.passed ? styleText('green', 'pass') : styleText('red', 'FAIL')
  say(
    `${subject.id}  ${mark}   ${pad(judgeName(subject.via))} ${subject.case}  (${subject.plugins.join(', ')}; ${verdict.ms} ms)`,
  )
  for (const difference of verdict.differences) say(`       ${difference}`)
}

function pad(text: string): string {
  return text.padEnd('SPIRE catalog 1.15.3'.length)
}
