import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { emitStep } from '../../../../operator/enroll/emit-files.ts'
import { runPlan } from '../../../../operator/plan/run.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'emit-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const FILES = new Map([
  ['/etc/keylime/agent.conf', 'new'],
  ['/etc/spire/agent.conf', 'new'],
  ['SHA256SUMS', 'sums'],
])

async function run(into: string): Promise<number> {
  const step = emitStep(into, FILES, 'write 3 files')
  const plan = { verb: 'enroll prepare', subject: 'node7', onFailure: 'undo', steps: [step] } as const
  const options = { dryRun: false, yes: true, journalFolder: join(folder, 'journal'), say: () => undefined }
  return (await runPlan(plan, { ...options, ask: undefined, signal: new AbortController().signal })).exit
}

const filesIn = (path: string): readonly string[] =>
  globSync('**/*', { cwd: path, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .toSorted()

describe('the files that enroll prepare writes', () => {
  it('are there afterwards, and a second time nothing is to be done', async () => {
    const into = join(folder, 'a', 'node')
    expect(await run(into)).toBe(0)
    expect(filesIn(into)).toEqual(['SHA256SUMS', 'etc/keylime/agent.conf', 'etc/spire/agent.conf'])
    expect(await emitStep(into, FILES, '').isDone?.(new AbortController().signal)).toBe(true)
  })

  it('are taken back alone when one cannot be written: what else is in the folder stays [operator:plan:rollback]', async () => {
    const into = join(folder, 'home')
    mkdirSync(join(into, 'etc/keylime'), { recursive: true })
    writeFileSync(join(into, 'diary'), 'mine')
    writeFileSync(join(into, 'etc/keylime/agent.conf'), 'old')
    writeFileSync(join(into, 'etc/spire'), 'no folder')
    expect(await run(into)).toBe(2)
    expect(filesIn(into)).toEqual(['diary', 'etc/keylime/agent.conf', 'etc/spire'])
    expect(readFileSync(join(into, 'etc/keylime/agent.conf'), 'utf8')).toBe('old')
  })

  it('take the folders with them that were made for them', async () => {
    const into = join(folder, 'x', 'y')
    const step = emitStep(into, FILES, '')
    await step.act(new AbortController().signal)
    await step.undo?.()
    expect(filesIn(folder)).toEqual([])
    expect(globSync('*', { cwd: folder })).toEqual([])
  })
})
