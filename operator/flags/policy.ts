/**
 * `towerkeep policy`: what a host must measure to be taken for good.
 *
 * @module
 */
import { JOURNAL_FLAG } from './common-acting.ts'
import { CHANGE_FLAGS, READ_FLAGS } from './shared-flags.ts'
import { defineVerb } from './spec.ts'

const WITHIN = {
  within: {
    kind: 'duration',
    default: '30s',
    min: 1_000,
    max: 600_000,
    help: 'How long to wait for a quote that passes.',
  },
} as const

const QUOTES = {
  quotes: { kind: 'integer', default: 3, min: 1, max: 20, help: 'How many quotes must agree.' },
} as const

/** `towerkeep policy show`. */
export const POLICY_SHOW = defineVerb({
  name: 'policy show',
  kind: 'read',
  summary: 'show what the enrolled policy of each host really compares',
  description: ['A PCR in the mask without an allowed value is quoted and never compared: it is listed apart.'],
  arguments: [{ name: 'HOST', help: 'Hosts; without them all.', many: true, complete: 'host' }],
  flags: { ...READ_FLAGS },
  examples: [['towerkeep policy show', 'all hosts']],
})

/** `towerkeep policy lint`. */
export const POLICY_LINT = defineVerb({
  name: 'policy lint',
  kind: 'read',
  summary: 'exit 2 when a policy compares less than the plugin demands, or nothing',
  description: ['The same as policy show, for a monitor.'],
  arguments: [{ name: 'HOST', help: 'Hosts; without them all.', many: true, complete: 'host' }],
  flags: { ...READ_FLAGS },
  examples: [['towerkeep policy lint --output short', 'for a monitor']],
})

/** `towerkeep policy baseline`. */
export const POLICY_BASELINE = defineVerb({
  name: 'policy baseline',
  kind: 'change',
  summary: 'take what a host proves now as what it is to have, and enrol it with that',
  description: [
    "The values come from quotes over nonces of ours, by the registered keys, never from the host's word. Boot events and packages are kept beside them, so that a later diff can name what changed.",
  ],
  arguments: [{ name: 'HOST', help: 'The host.', required: true, complete: 'host' }],
  flags: {
    pcr: { kind: 'text', value: 'PCRS', default: '0,4,7', help: 'Which PCRs.' },
    ...QUOTES,
    'keep-policy': { kind: 'switch', help: 'Keep the baseline, and leave the enrolled policy as it is.' },
    baselines: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: '/var/lib/towerkeep/baselines',
      help: 'Where baselines are kept.',
    },
    ...WITHIN,
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep policy baseline auth --pcr 0,4,7', 'on a host that was just set up']],
})

/** `towerkeep policy diff`. */
export const POLICY_DIFF = defineVerb({
  name: 'policy diff',
  kind: 'read',
  summary: 'compare what a host is enrolled with to what its TPM proves now',
  description: [
    'Names the boot events behind each PCR that differs, where the log leads to the proved value, and packages that changed since the baseline.',
  ],
  arguments: [{ name: 'HOST', help: 'The host.', required: true, complete: 'host' }],
  flags: {},
  examples: [['towerkeep policy diff auth', 'after a kernel update']],
})

/** `towerkeep policy approve`. */
export const POLICY_APPROVE = defineVerb({
  name: 'policy approve',
  kind: 'change',
  summary: 'accept the boot that a host proves now beside the one before, for a while',
  description: [
    'For the time of the window old and new values pass, so that the host may go back; after it only the new ones. The host is never without a policy.',
    '--end closes the window of a host; --due closes all whose time is over, which the timer does.',
  ],
  arguments: [{ name: 'HOST', help: 'The host.', complete: 'host' }],
  flags: {
    window: { kind: 'duration', default: '2h', min: 1_000, max: 2_592_000_000, help: 'How long both pass.' },
    end: { kind: 'switch', help: 'End the window of the host now.' },
    due: { kind: 'switch', help: 'End every window whose time is over.' },
    windows: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: '/var/lib/towerkeep/windows',
      help: 'Where open windows are kept.',
    },
    ...QUOTES,
    ...WITHIN,
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    ['towerkeep policy approve auth --window 2h', 'after a kernel update'],
    ['towerkeep policy approve --due --yes', 'what the timer runs'],
  ],
})

/** `towerkeep policy apply`. */
export const POLICY_APPLY = defineVerb({
  name: 'policy apply',
  kind: 'change',
  summary: "put another configuration of the plugin in force without SPIRE's restart",
  description: [
    'The file is checked as the plugin checks it, put in the place of plugin_data_file, and the SPIRE server is told to read it.',
  ],
  arguments: [{ name: 'FILE', help: 'The next plugin_data.', required: true, complete: 'file' }],
  flags: { ...CHANGE_FLAGS, ...JOURNAL_FLAG },
  examples: [['towerkeep policy apply /root/keylime.hcl', 'another require_policy']],
})
