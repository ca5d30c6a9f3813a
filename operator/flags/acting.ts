/**
 * The verbs that change something.
 *
 * @module
 */
import { CERTS_FOLDER } from '../paths.ts'
import { JOURNAL_FLAG } from './common-acting.ts'
import { CHANGE_FLAGS } from './shared-flags.ts'
import { defineVerb } from './spec.ts'

/** `towerkeep renew`. */
export const RENEW = defineVerb({
  name: 'renew',
  kind: 'change',
  summary: 'renew certificates that are due, and prove that every peer takes the new ones',
  description: [
    `Each certificate is described by one file in ${CERTS_FOLDER}. It is due after two thirds of its life. The key is made on this host and never leaves it: OpenBao or Vault signs a request (login by the host's SVID, else by AppRole), step-ca rekeys over mutual TLS, or the certificate is self-signed.`,
    "The new pair is checked before it is put in place: it fits its key, it has the names, and every peer's trust file leads to it, each read as that peer reads it. Both files are swapped at once, the service reloads, and a handshake proves what it serves. If any of this fails the old files are back and served again.",
    'A certificate authority that is sealed, away or refuses is exit 75: the old files stay in force and the timer comes again. A wrong file holds up no other certificate: it is named, and the exit code is 64.',
  ],
  arguments: [{ name: 'CERT', help: 'Names of certificates, as their files are called.', many: true }],
  flags: {
    all: { kind: 'switch', help: 'Every certificate that is described.' },
    force: { kind: 'switch', help: 'Also those that are not due.' },
    certs: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: CERTS_FOLDER,
      help: 'Where certificates are described.',
    },
    'metrics-file': {
      kind: 'text',
      value: 'FILE',
      complete: 'file',
      help: "Write metrics there, for node-exporter's textfile collector.",
    },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    ['towerkeep renew --all --yes', 'what the timer runs'],
    ['towerkeep renew agent --force', 'after a key has leaked'],
  ],
})

/** `towerkeep renew devid`. */
export const RENEW_DEVID = defineVerb({
  name: 'renew devid',
  kind: 'change',
  summary: 'make a DevID key in the TPM and have it certified',
  description: [
    "Each DevID is described by one file in /etc/towerkeep/devid.d. The key is made in the TPM, in the form that SPIRE's tpm_devid attestor loads, and never leaves it; the request is signed by it, and OpenBao or Vault certifies it. Key and certificate are swapped together, and then looked for in the TPM.",
  ],
  arguments: [{ name: 'DEVID', help: 'Names of descriptions; without them all.', many: true }],
  flags: {
    force: { kind: 'switch', help: 'Also those that are not due and whose key is in the TPM.' },
    devids: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: '/etc/towerkeep/devid.d',
      help: 'Where DevIDs are described.',
    },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep renew devid', 'after doctor has found TK-DEVID-KEY']],
})

/** `towerkeep recover`. */
export const RECOVER = defineVerb({
  name: 'recover',
  kind: 'change',
  summary: 'have the verifier begin anew with hosts that it could not reach',
  description: [
    'After a power cut or an expired certificate the verifier has given hosts up (state 7) and asks them no more. For those that answer again, and that nobody polls, it is told to begin anew; then a new success is waited for.',
    "A host that failed its measurements (9) or was stopped (10) is never brought back by a command: the advice says what to look at. Nothing is written into the verifier's database.",
  ],
  arguments: [{ name: 'HOST', help: 'Hosts; without them all.', many: true, complete: 'host' }],
  flags: {
    reason: {
      kind: 'choice',
      choices: ['reboot', 'certificate', 'clock'],
      default: 'reboot',
      help: "What happened; clock: the TPM's clock was set after a power cut.",
    },
    max: { kind: 'integer', default: 50, min: 1, max: 10_000, help: 'At most this many hosts in one run.' },
    within: { kind: 'duration', default: '30s', min: 1_000, max: 600_000, help: 'How long to wait for a new success.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep recover', 'after a power cut']],
})

/** `towerkeep revoke`. */
export const REVOKE = defineVerb({
  name: 'revoke',
  kind: 'change',
  summary: "take a host's identity away, whatever Keylime says of it",
  description: [
    'Bans its SPIRE agent at every server: nothing more is issued to it from that moment, and its Workload API goes at its next sync. Keylime goes on polling it, so that it stays visible. Only restore brings it back.',
    "--break-glass also rotates SPIRE's authority, so that what the host already holds is refused by every peer that follows the bundle: prepare, activate, taint, revoke, with waits between for all agents to follow. Other hosts attest anew and go on. It asks for the trust domain's name.",
  ],
  arguments: [{ name: 'HOST', help: 'The host.', required: true, complete: 'host' }],
  flags: {
    reason: { kind: 'text', value: 'TEXT', default: 'not given', help: 'Why, for the journal.' },
    'break-glass': { kind: 'switch', help: "Also rotate SPIRE's authority, for what the host already holds." },
    after: {
      kind: 'duration',
      default: '10s',
      min: 500,
      max: 600_000,
      help: 'With --break-glass: time for every agent to fetch a changed bundle; twice sync_interval is enough.',
    },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    ['towerkeep revoke auth --reason "stolen laptop"', 'nothing more is issued to auth'],
    ['towerkeep revoke auth --break-glass --after 3s', 'and what it holds is refused'],
  ],
})

/** `towerkeep restore`. */
export const RESTORE = defineVerb({
  name: 'restore',
  kind: 'change',
  summary: 'let a banned host come back, once Keylime vouches for it anew',
  description: [
    'Refuses unless the gate admits the host now and its last success is newer than the ban. Then the ban is lifted, and the same SPIFFE ID is waited for.',
  ],
  arguments: [{ name: 'HOST', help: 'The host.', required: true, complete: 'host' }],
  flags: {
    within: {
      kind: 'duration',
      default: '30s',
      min: 1_000,
      max: 600_000,
      help: 'How long to wait for its attestation.',
    },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep restore auth', 'after it was set up anew']],
})

/** `towerkeep entries list`. */
export const ENTRIES_LIST = defineVerb({
  name: 'entries list',
  kind: 'read',
  summary: 'list registration entries with the hosts they reach',
  description: ['Entries under a parent that is no agent reach nobody; they are marked.'],
  arguments: [{ name: 'HOST', help: 'Only those that reach it.', complete: 'host' }],
  flags: {},
  examples: [['towerkeep entries list auth', 'what auth may give its workloads']],
})

/** `towerkeep entries reparent`. */
export const ENTRIES_REPARENT = defineVerb({
  name: 'entries reparent',
  kind: 'change',
  summary: 'move the entries of an old agent ID to the present one',
  description: ['For a host whose agent ID changed: its workloads get their SVIDs again. Taken back by the reverse.'],
  arguments: [
    { name: 'OLD', help: 'Agent ID or SPIFFE ID of the old parent, which may be gone.', required: true },
    { name: 'HOST', help: 'The host under its present ID.', required: true, complete: 'host' },
  ],
  flags: { ...CHANGE_FLAGS, ...JOURNAL_FLAG },
  examples: [['towerkeep entries reparent d432fbb3-d2f1-4a97-9ef7-75bd81c00000 auth', 'after uuid was set to hash_ek']],
})

/** `towerkeep entries alias`. */
export const ENTRIES_ALIAS = defineVerb({
  name: 'entries alias',
  kind: 'change',
  summary: 'make a node alias, under which entries outlive a change of agent ID',
  description: ['Entries under the alias reach every agent that has all its selectors.'],
  arguments: [{ name: 'SPIFFE-ID', help: 'Of the alias.', required: true }],
  flags: {
    selector: { kind: 'list', value: 'TYPE:VALUE', help: 'A selector that agents must have; several may be given.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    [
      'towerkeep entries alias spiffe://example.org/node/auth --selector keylime:agent-id:0a1b...',
      'an alias of one host',
    ],
  ],
})

/** `towerkeep gc`. */
export const GC = defineVerb({
  name: 'gc',
  kind: 'change',
  summary: 'list what is left over of hosts that went away, and delete it when told to',
  description: [
    'Joins registrar, verifier, SPIRE agents and entries, and lists what belongs to no host any more, by kind. Nothing of a host that attests is ever listed.',
    '--delete writes an undo file first, and refuses when a source is away or when more than a third would go. With a HOST everything of that host goes, whatever it is, and the entries under its agent ID with it.',
  ],
  arguments: [{ name: 'HOST', help: 'A host that is to leave the tower.', complete: 'host' }],
  flags: {
    delete: { kind: 'switch', help: 'Delete what is listed.' },
    undo: { kind: 'text', value: 'FILE', complete: 'file', help: 'Bring back what a run deleted, from its undo file.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    ['towerkeep gc', 'what is left over'],
    ['towerkeep gc node7 --delete', 'node7 leaves the tower'],
  ],
})

/** `towerkeep pin`. */
export const PIN = defineVerb({
  name: 'pin',
  kind: 'change',
  summary: "compare or write the checksum of the plugin in SPIRE's configuration",
  description: [
    'Without --write it compares: exit 2 when the file at plugin_cmd is not the one that is pinned. With --write it puts the checksum of the installed file in place.',
  ],
  arguments: [
    {
      name: 'CONF',
      help: 'server.conf or agent.conf; without it those of the running SPIRE.',
      many: true,
      complete: 'file',
    },
  ],
  flags: {
    write: { kind: 'switch', help: 'Write the checksum.' },
    check: { kind: 'switch', help: 'Compare, which is the default.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep pin --write /etc/spire/server.conf', 'after the package was updated']],
})

/** `towerkeep support`. */
export const SUPPORT = defineVerb({
  name: 'support',
  kind: 'change',
  summary: 'write one file with what somebody needs who is to help',
  description: [
    'Hosts, findings, the journal, and configuration with every secret taken out. The list of what is in it is printed first; a file that would hold anything of the shape of a key or token is not written.',
  ],
  arguments: [],
  flags: {
    out: { kind: 'text', value: 'FILE', complete: 'file', default: 'towerkeep-support.json', help: 'Where to write.' },
    certs: {
      kind: 'text',
      value: 'FOLDER',
      complete: 'file',
      default: CERTS_FOLDER,
      help: 'Where certificates are described.',
    },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep support --out /tmp/support.json', 'to attach to a report']],
})
