/**
 * Checks of what a host was enrolled with against what it runs now.
 *
 * @module
 */
import { release } from 'node:os'
import { type Finding, finding } from '../findings/finding.ts'
import { readBaselines } from '../policy/baselines.ts'
import type { Check } from './check.ts'
import type { View } from './view.ts'

/** The checks. */
export const POLICY_CHECKS: readonly Check[] = [
  {
    id: 'policy-kernel',
    area: 'policy',
    finds: ['TK-POLICY-KERNEL'],
    needs: 'a baseline taken on this machine by towerkeep policy baseline',
    blind: 'an update that is installed and not booted yet',
    run: kernelFindings,
  },
]

function kernelFindings({ root }: View): readonly Finding[] {
  return readBaselines(root).flatMap(({ host, kernel, file }) => {
    if (kernel === undefined || kernel === release()) return []
    return [
      finding('TK-POLICY-KERNEL', {
        host,
        subject: file,
        message: `was taken with kernel ${kernel}, ${release()} runs`,
        evidence: { baseline: kernel, running: release() },
        command: `towerkeep policy diff ${host}`,
      }),
    ]
  })
}
