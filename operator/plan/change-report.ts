/**
 * What a change gives back.
 *
 * @module
 */
import { OperatorError } from '../operator-error.ts'
import type { Report } from '../report.ts'
import type { RunOutcome } from './run.ts'
import type { Plan, StepState } from './step.ts'

const MARKS: Readonly<Record<StepState, string>> = {
  planned: ' ',
  begun: '>',
  already: '=',
  done: '+',
  failed: 'x',
  undone: '-',
  'undo-failed': '!',
}

/**
 * Makes the report of a change.
 *
 * @param plan What was to be done.
 * @param run How it went.
 * @param more Facts for `summary`, and lines to print for people.
 * @returns The report.
 * @throws {OperatorError} The step's own, where it names an exit code of services, such as 69 or 75.
 */
export function changeReport(
  plan: Plan,
  run: RunOutcome,
  more: { readonly summary?: object; readonly lines?: readonly string[] } = {},
): Report {
  if (run.error instanceof OperatorError && run.outcome !== 'failed' && run.steps.every(isUntouched)) throw run.error
  const { journal, undo, messages, outcome } = run
  return {
    schema: `towerkeep/${plan.verb.replaceAll(' ', '-')}/v1`,
    exit: run.exit,
    summary: {
      subject: plan.subject,
      outcome,
      ...(journal !== undefined && { journal }),
      ...(undo !== undefined && { undo }),
      messages,
      ...more.summary,
    },
    items: run.steps,
    findings: [],
    unknown: [],
    text: () => textOf(plan, run, more.lines ?? []),
    short: () => `${plan.verb} ${plan.subject}: ${outcome}${messages.length > 0 ? `: ${messages.join('; ')}` : ''}\n`,
  }
}

function isUntouched({ state }: { readonly state: StepState }): boolean {
  return state === 'planned' || state === 'already' || state === 'failed'
}

function textOf(plan: Plan, run: RunOutcome, lines: readonly string[]): string {
  const steps = run.steps.map(({ state, title }) => `${MARKS[state]} ${title}`)
  const undo = run.undo !== undefined && run.outcome === 'done' ? [`to take it back: ${run.undo}`] : []
  return `${[`${plan.verb} ${plan.subject}: ${run.outcome}`, ...steps, ...run.messages, ...lines, ...undo].join('\n')}\n`
}
