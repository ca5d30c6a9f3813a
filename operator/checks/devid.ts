/**
 * Checks of DevID certificates: is the certified key in this machine's TPM.
 *
 * @module
 */

import { devIdFilesOf, keyProblem } from '../devid/devid-files.ts'
import { type Finding, finding } from '../findings/finding.ts'
import type { Check } from './check.ts'
import { unseen, type View } from './view.ts'

/** The checks. */
export const DEVID_CHECKS: readonly Check[] = [
  {
    id: 'devid-key',
    area: 'devid',
    finds: ['TK-DEVID-KEY'],
    needs: 'the TPM, and the tpm_devid block of agent.conf or a file of /etc/towerkeep/devid.d',
    blind: 'DevID certificates that no configuration names',
    run: devIdFindings,
  },
]

async function devIdFindings({ site, devIdsFolder }: View): Promise<readonly Finding[]> {
  const found = await Promise.all(
    devIdFilesOf(site, devIdsFolder).map(async (files): Promise<readonly Finding[]> => {
      const problem = await keyProblem(files)
      if (problem === undefined) return []
      if (problem.is === 'unseen') return [unseen(files.certFile, problem.message)]
      return [
        finding('TK-DEVID-KEY', {
          subject: files.certFile,
          message: problem.message,
          command: 'towerkeep renew devid',
        }),
      ]
    }),
  )
  return found.flat()
}
