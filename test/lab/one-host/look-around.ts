/**
 * `KEEP=1`: what to type to look at the host that was left running, and how to stop it.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Parts } from '../parts/parts.ts'
import type { Narrator } from './narrator.ts'
import type { Rig } from './rig.ts'

/** Lets go of the host and prints the commands. */
export async function printHowToLook(tell: Narrator, rig: Rig, parts: Parts): Promise<void> {
  const environment = join(rig.dir, 'env.sh')
  const variables = {
    ...rig.keylime.env,
    TPM2TOOLS_TCTI: rig.tpm.tcti,
    PATH: `${parts.keylimeBin}:${parts.spireBin}:$PATH`,
  }
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}="${value}"\n`)
  await writeFile(environment, lines.join(''), { mode: 0o600 })
  await rig.keep()
  const stop = fileURLToPath(new URL('./stop.ts', import.meta.url))
  tell.line('\nIt is still running. To look around:')
  tell.line(`  . ${environment}`)
  tell.line(`  spire-server agent list -socketPath ${rig.spireServer.socketPath}`)
  tell.line(`  spire-agent api fetch x509 -socketPath ${rig.spireAgent.socketPath}`)
  tell.line(`  keylime_tenant -c cvstatus -u ${rig.agentId}`)
  tell.line('  tpm2_pcrread sha256:7,16')
  tell.line(`To stop it and remove ${rig.dir}:`)
  tell.line(`  ${process.execPath} ${stop} ${rig.dir}`)
}
