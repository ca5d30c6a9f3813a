/**
 * Findings as lines of text.
 *
 * @module
 */
import { countFindings, type Finding, worstFirst } from '../findings/finding.ts'
import type { Style } from './style.ts'

/**
 * Writes findings, the worst first; those that follow from others are only counted.
 *
 * @param findings In any order.
 * @param style How to dress them.
 * @returns A line each.
 */
export function findingLines(findings: readonly Finding[], style: Style): readonly string[] {
  const causes = worstFirst(findings).filter(({ because, severity }) => because.length === 0 && severity !== 'ok')
  return causes.map((one) => {
    const severity = style.paint(one.severity, one.severity.toUpperCase().padEnd(7))
    const fix = one.fix.command ?? one.fix.text
    const about = one.message.startsWith(one.subject) ? one.message : `${one.subject}: ${one.message}`
    return `${severity} ${one.id}  ${one.host ?? '-'}  ${about}  -> ${fix}`
  })
}

/**
 * Writes the line that ends a report.
 *
 * @param findings All of them.
 * @param seconds How long it took.
 * @returns Such as `1 critical, 0 warnings, 0 unknown (+2 follow from these)  0.3 s`.
 */
export function countLine(findings: readonly Finding[], seconds: number): string {
  const { crit, warn, unknown, ok, follow } = countFindings(findings)
  const parts = [
    `${crit} critical`,
    `${warn} ${warn === 1 ? 'warning' : 'warnings'}`,
    ...(ok > 0 ? [`${ok} ok`] : []),
    `${unknown} unknown`,
  ]
  return `${parts.join(', ')}${follow > 0 ? ` (+${follow} follow from these)` : ''}  ${seconds.toFixed(1)} s`
}
