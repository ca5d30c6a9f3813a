import { describe, expect, it } from 'vitest'
import type { ConformanceCase } from './conformance-case.ts'
import { judge, type Run } from './judge.ts'

const subject: ConformanceCase = {
  id: 'C00',
  via: 'go-plugin',
  case: 'two plugins say hello',
  plugins: ['one', 'two'],
  expected: ['hello', 'goodbye'],
  expectedOf: { two: ['good day', 'goodbye'] },
}

const run = (plugin: string, observed: string[] | null, error?: string): Run => ({
  id: 'C00',
  plugin,
  observed,
  ms: 5,
  ...(error === undefined ? {} : { error }),
})

const good = [run('one', ['hello', 'goodbye']), run('two', ['good day', 'goodbye'])]

describe('judge', () => {
  it('passes a case whose every plugin behaves as expected', () => {
    expect(judge(subject, good)).toEqual({ id: 'C00', passed: true, differences: [], ms: 10 })
  })

  it.each([
    ['another word', run('two', ['good day', 'bye']), 'two: expected goodbye; observed bye'],
    ['a missing word', run('two', ['good day']), 'two: expected goodbye; observed (nothing)'],
    ['a word too many', run('two', ['good day', 'goodbye', 'hm']), 'two: expected (nothing); observed hm'],
    ['words in another order', run('two', ['goodbye', 'good day']), 'two: expected good day; observed goodbye'],
    ['a host that gave up', run('two', ['good day', 'goodbye'], 'no line on stdout'), 'two: no line on stdout'],
    ['silence', run('two', null), 'two: expected good day; observed (nothing)'],
  ])('fails a case because of %s', (_title, bad, difference) => {
    const { passed, differences } = judge(subject, [run('one', ['hello', 'goodbye']), bad])
    expect({ passed, first: differences[0] }).toEqual({ passed: false, first: difference })
  })

  it('fails a case that was not played against each of its plugins', () => {
    expect(judge(subject, good.slice(0, 1))).toMatchObject({ passed: false, differences: ['two: not played'] })
    expect(judge(subject, [])).toMatchObject({ passed: false, differences: ['one: not played', 'two: not played'] })
  })

  it('fails when the expectation is wrong', () => {
    const wrong = { ...subject, expected: ['hello', 'farewell'] }
    expect(judge(wrong, good)).toMatchObject({
      passed: false,
      differences: ['one: expected farewell; observed goodbye'],
    })
  })

  it('never passes a case that is played against nothing', () => {
    expect(judge({ ...subject, plugins: [] }, [])).toMatchObject({
      passed: false,
      differences: ['no executable to play it against'],
    })
  })
})
