/**
 * Warns once per node, and again when it changes, of a policy that checks nothing.
 *
 * @module
 */
import { hash } from 'node:crypto'
import type { EnrolledPolicy } from '@tower-of-omens/gate'
import { checksNothing, describeStrength } from '@tower-of-omens/gate'
import { BoundedMap, type Log } from '@tower-of-omens/keylime'

/** Nodes of which the last warning is remembered. */
const MAX_WARNED = 20_000

/** Memory of the warnings. Outlives a new configuration. */
export class PolicyWatch {
  readonly #warned = new BoundedMap<string, string>(MAX_WARNED)

  /**
   * Warns when an admitted node's policy checks nothing, once for each such policy.
   *
   * @param agentId The node.
   * @param enrolled Its policy, from the gate.
   * @param log Warned when the policy checks nothing and this is news.
   */
  warnIfNews(agentId: string, enrolled: EnrolledPolicy, log: Pick<Log, 'warn'>): void {
    if (!checksNothing(enrolled.strength)) {
      this.#warned.delete(agentId)
      return
    }
    const what = enrolled.policy?.canonical ?? `unreadable: ${enrolled.unreadable ?? ''}`
    // A policy can have 64 KiB; its hash is as good to tell that it has changed.
    const digest = enrolled.policy?.sha256 ?? hash('sha256', what)
    if (this.#warned.get(agentId) === digest) return
    this.#warned.set(agentId, digest)
    log.warn(
      'Enrolled policy checks nothing: the node has a TPM that answers, and nothing is known of what runs on it',
      {
        agent_id: agentId,
        tpm_policy: what,
        strength: describeStrength(enrolled.strength),
        next_step:
          'enrol allowed values for PCRs of the boot (0-9, 11-14), a measured boot policy or a runtime policy with PCR 10 in the mask',
      },
    )
  }
}
