/**
 * The keeper beside a SPIRE server of the tower: it writes the bundle that new hosts get, and tells OpenBao whose JWT-SVIDs
 * to accept.
 *
 * @module
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ConfObject } from '../services/hcl-text.ts'
import type { OpenBao } from '../services/openbao.ts'
import { pluginBlock } from '../services/spire-program.ts'

/** What a keeper is told. */
export interface BundleKeeperPlace {
  /** Folder of the SPIRE server. */
  readonly spireDir: string
  readonly bao: OpenBao
  /** PEM of the CAs that OpenBao is trusted by. */
  readonly caFile: string
  /** Path of the executable. */
  readonly program: string
}

/** Names the bundle, PEM, that the keeper of a SPIRE server writes. */
export function bundleFileOf(spireDir: string): string {
  return join(spireDir, 'bundle', 'bundle.pem')
}

/**
 * Gets the keeper its folder and its token, where it has none yet.
 *
 * @returns Its block among the plugins of SPIRE.
 */
export async function bundleKeeper({ spireDir, bao, caFile, program }: BundleKeeperPlace): Promise<ConfObject> {
  const folder = dirname(bundleFileOf(spireDir))
  const tokenFile = join(spireDir, 'keeper.token')
  mkdirSync(folder, { recursive: true })
  // A SPIRE server that is started again may find OpenBao sealed, and need nothing of it.
  if (!existsSync(tokenFile)) writeFileSync(tokenFile, await bao.keeperToken(), { mode: 0o600 })
  const data = {
    folder,
    openbao_address: bao.operator.address,
    openbao_token_file: tokenFile,
    openbao_ca_file: caFile,
  }
  return { 'BundlePublisher "keeper"': await pluginBlock({ command: program, data }) }
}
