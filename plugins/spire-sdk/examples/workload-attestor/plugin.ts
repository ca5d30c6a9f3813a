import { readFile } from 'node:fs/promises'
import { type PluginOptions, RpcError, workloadAttestor } from '@tower-of-omens/spire-sdk'

/** WorkloadAttestor: selects a workload by the name that its process goes by. */
export const plugin: PluginOptions<undefined> = {
  name: 'process-name',
  type: 'WorkloadAttestor',
  services: [
    workloadAttestor({
      async attest(pid, _config, { log }) {
        try {
          return [`comm:${(await readFile(`/proc/${pid}/comm`, 'utf8')).trim()}`]
        } catch (error) {
          log.debug('Process cannot be read', { pid, error })
          throw new RpcError('NOT_FOUND', `process ${pid} cannot be read`, { cause: error })
        }
      },
    }),
  ],
}
