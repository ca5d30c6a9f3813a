/**
 * `towerkeep doctor`, which reads and never changes anything.
 *
 * @module
 */
import { CERTS_FOLDER } from '../paths.ts'
import { JOURNAL_FLAG } from './common-acting.ts'
import { READ_FLAGS } from './shared-flags.ts'
import { defineVerb } from './spec.ts'

/** `towerkeep doctor`. */
export const DOCTOR = defineVerb({
  name: 'doctor',
  kind: 'read',
  summary: 'find out what is wrong, causes first, each with the command that mends it',
  description: [
    'Looks at configuration files by the rules of the program that reads each, at certificates and trust files as each peer reads them, at what is presented on the wire, at hosts, entries, units, plugins, secrets and the TPM. A finding that follows from another is only counted.',
    'What could not be looked at is UNKNOWN (exit 3), never good and never red: as root on a node it sees more. Nothing is ever changed; what mends a finding is printed as a command.',
    'Reports of other machines are merged: run it there with --output json and give the files to --merge here.',
  ],
  arguments: [{ name: 'AREA', help: 'Part to check, such as certs; without it all.', many: true }],
  flags: {
    ...READ_FLAGS,
    merge: { kind: 'list', value: 'FILE', complete: 'file', help: 'JSON reports of doctor from other machines.' },
    prove: {
      kind: 'switch',
      help: "Also prove that others refuse this machine's certificates, by handshakes and GET alone.",
    },
    list: { kind: 'switch', help: 'Print every check, what it needs and what it cannot see.' },
    certs: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: CERTS_FOLDER,
      help: 'Where certificates to renew are described.',
    },
    devids: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: '/etc/towerkeep/devid.d',
      help: 'Where DevIDs are described.',
    },
    ...JOURNAL_FLAG,
  },
  examples: [
    ['towerkeep doctor', 'everything that can be seen from here'],
    ['towerkeep doctor certs net', 'before and after a change of certificates'],
    ['towerkeep doctor --merge auth.json ca.json', 'three machines in one list'],
  ],
})
