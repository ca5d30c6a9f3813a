/**
 * The policy that every host of the tower is enrolled with.
 *
 * @module
 */

import type { EnrolmentPolicy } from '../services/keylime-admin.ts'
import { bootPcrs, GOOD_BOOT } from './boot-log.ts'
import { runtimePolicy } from './ima-list.ts'
import { GOOD_FILES } from './measured-host.ts'

/** Firmware PCRs pinned, event log and file list evaluated (PCRs 0 to 15). */
export const FULL_POLICY: EnrolmentPolicy = {
  tpmPolicy: {
    mask: '0xffff',
    ...Object.fromEntries([0, 4, 7].map((pcr) => [String(pcr), [bootPcrs(GOOD_BOOT).get(pcr) ?? '']])),
  },
  runtimePolicy: { text: runtimePolicy([...GOOD_FILES, { path: 'boot_aggregate', digest: '0'.repeat(64) }]) },
  measuredBootPolicy: { text: '{"any": 1}' },
}

/** The same firmware PCRs and nothing else: the stand-in for the Keylime agent in push mode sends quotes alone. */
export const PUSH_POLICY: EnrolmentPolicy = { tpmPolicy: { ...FULL_POLICY.tpmPolicy, mask: '0x91' } }
