/**
 * `towerkeep enroll`: a new node in three commands.
 *
 * @module
 */
import { DEFAULT_TPM_PATH } from '@tower-of-omens/tpm-device'
import { JOURNAL_FLAG } from './common-acting.ts'
import { CHANGE_FLAGS } from './shared-flags.ts'
import { defineVerb } from './spec.ts'

/** `towerkeep enroll prepare`. */
export const ENROLL_PREPARE = defineVerb({
  name: 'enroll prepare',
  kind: 'change',
  summary: 'on the server: write the files that a new node needs, without any secret',
  description: [
    'Text files in a fixed order, the same bytes each time, fit for version control: configuration of Keylime and SPIRE agents, trust files, descriptions of certificates, units, checksums. With --vault-token-file also one secret-id, wrapped for one use within ten minutes, on the terminal alone.',
  ],
  arguments: [{ name: 'HOST', help: 'Name of the node.', required: true }],
  flags: {
    emit: { kind: 'text', value: 'FOLDER', complete: 'file', default: 'node', help: 'Where to write.' },
    ip: {
      kind: 'text',
      value: 'ADDRESS',
      default: '',
      help: 'IP address of the node, where the verifier reaches it. It must be given.',
    },
    evidence: {
      kind: 'choice',
      choices: ['tpm', 'keylime-agent'],
      default: 'tpm',
      help: 'With tpm the agent half quotes by itself and needs no certificate.',
    },
    'tpm-path': {
      kind: 'text',
      value: 'FILE',
      default: DEFAULT_TPM_PATH,
      help: "The node's TPM, a device or a socket, for --evidence tpm.",
    },
    plugin: {
      kind: 'text',
      value: 'FILE',
      default: '/usr/bin/keylime-attestor-agent',
      help: 'The agent half on the node.',
    },
    'spire-address': { kind: 'text', value: 'HOST', help: 'Of the SPIRE server. Default: as the registrar.' },
    'spire-port': { kind: 'integer', min: 1, max: 65_535, help: 'Default: bind_port of server.conf.' },
    'registrar-ip': { kind: 'text', value: 'ADDRESS', help: 'Where nodes register. Default: as the plugin has it.' },
    'registrar-port': { kind: 'integer', default: 8890, min: 1, max: 65_535, help: 'Port for nodes.' },
    'ca-file': {
      kind: 'text',
      value: 'FILE',
      complete: 'file',
      help: 'CA certificates of the tower. Default: keylime_ca_file.',
    },
    'vault-address': {
      kind: 'text',
      value: 'URL',
      default: 'https://127.0.0.1:8200',
      help: 'OpenBao or Vault, as the node reaches it.',
    },
    'vault-mount': { kind: 'text', value: 'PATH', default: 'pki_int', help: 'Of the PKI engine.' },
    'vault-role': { kind: 'text', value: 'ROLE', default: 'keylime-agents', help: 'A role for servers alone.' },
    'vault-token-file': {
      kind: 'text',
      value: 'FILE',
      complete: 'file',
      help: 'A token that may make a secret-id of the AppRole named as the node.',
    },
    'cert-ttl': { kind: 'text', value: 'TTL', default: '24h', help: "Life of the node's certificate." },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep enroll prepare node7.example.org --ip 10.0.0.7 --emit node7', 'then copy the folder there']],
})

/** `towerkeep enroll apply`. */
export const ENROLL_APPLY = defineVerb({
  name: 'enroll apply',
  kind: 'change',
  summary: 'on the node: put the files in place, make the keys here, start, say who it is',
  description: [
    'The folder is held to its checksums. Keys are made on the node and never leave it. It can be run again after it was cut off: what is done stays done.',
  ],
  arguments: [{ name: 'FOLDER', help: 'What prepare wrote.', required: true, complete: 'file' }],
  flags: {
    'wrapped-secret-id': { kind: 'text', value: 'TOKEN', help: 'What prepare printed; it can be used once.' },
    'role-id': { kind: 'text', value: 'ID', help: "Role-id of the node's AppRole." },
    'tpm-path': { kind: 'text', value: 'FILE', default: DEFAULT_TPM_PATH, help: "The TPM's device or socket." },
    start: { kind: 'switch', help: 'Enable and start the units.' },
    root: { kind: 'text', value: 'FOLDER', default: '', help: 'Put everything under this folder instead.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [['towerkeep enroll apply node7 --start --role-id 0a1b... --wrapped-secret-id hvs...', 'on node7']],
})

/** `towerkeep enroll accept`. */
export const ENROLL_ACCEPT = defineVerb({
  name: 'enroll accept',
  kind: 'change',
  summary: 'on the server: take the node into the tower',
  description: [
    'The registered endorsement key must be the one that the node has shown to a person, and its certificate must come from a TPM maker where ek_ca_path is set. Then the policy is enrolled, a first success waited for, entries are made, and the first attestation waited for.',
  ],
  arguments: [{ name: 'HOST', help: 'Name of the node.', required: true }],
  flags: {
    'agent-id': { kind: 'text', value: 'ID', default: '', help: 'As apply printed it.' },
    ek: { kind: 'text', value: 'sha256:HEX', default: '', help: 'Hash of the endorsement key, as apply printed it.' },
    policy: { kind: 'text', value: 'FILE', complete: 'file', help: 'A TPM policy of Keylime, JSON.' },
    baseline: {
      kind: 'text',
      value: 'PCRS',
      help: 'Instead of a policy: what its TPM proves of these PCRs now, such as 0,4,7.',
    },
    entry: {
      kind: 'list',
      value: 'SPIFFE-ID=SELECTORS',
      help: 'An entry to make under the node; several may be given.',
    },
    within: { kind: 'duration', default: '60s', min: 1_000, max: 600_000, help: 'How long to wait for each thing.' },
    unattested: { kind: 'switch', help: 'Do not wait for the first attestation.' },
    ...CHANGE_FLAGS,
    ...JOURNAL_FLAG,
  },
  examples: [
    [
      'towerkeep enroll accept node7 --agent-id 0a1b... --ek sha256:0a1b... --baseline 0,4,7',
      'with what it measures now',
    ],
  ],
})
