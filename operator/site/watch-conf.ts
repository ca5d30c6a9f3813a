/**
 * The block `watch` of `/etc/towerkeep.hcl`.
 *
 * @module
 */
import { type Decoded, decodeConfig, defineSchema } from '@tower-of-omens/spire-sdk/hcl'
import { absolutePath, hostPortText } from './conf-checks.ts'

/** Every key of the block. */
export const WATCH_SCHEMA = defineSchema({
  mode: {
    kind: 'string',
    oneOf: ['observe', 'evict', 'ban'],
    default: 'observe',
    help: '`observe` only says what it would do; `evict` evicts for every reason; `ban` bans on a verdict and evicts on absence.',
  },
  poll: {
    kind: 'duration',
    default: '5s',
    min: 500,
    max: 300_000,
    help: 'Time between two reads of all records: 0.4 ms of a verifier worker for each agent.',
  },
  bell_address: {
    kind: 'string',
    default: '127.0.0.1:9443',
    check: hostPortText,
    help: "Where the verifier's webhook calls, at `/keylime`.",
  },
  bell_cert_file: {
    kind: 'string',
    check: absolutePath,
    help: 'Server certificate of the bell. Without it there is no bell, and polling alone finds failures.',
  },
  bell_key_file: { kind: 'string', check: absolutePath, help: 'Its private key.' },
  bell_client_ca_file: {
    kind: 'string',
    check: absolutePath,
    help: 'CA certificates of whoever may ring. Default: `keylime_ca_file`.',
  },
  verifier_names: {
    kind: 'string_list',
    default: [],
    max: 32,
    help: "Names, common names or URIs in the verifiers' client certificates: nobody else may ring. Needed with a bell.",
  },
  http_address: {
    kind: 'string',
    default: '127.0.0.1:9109',
    check: hostPortText,
    help: 'Where page and metrics are served. Beyond this machine only with TLS.',
  },
  http_cert_file: { kind: 'string', check: absolutePath, help: 'Server certificate of page and metrics.' },
  http_key_file: { kind: 'string', check: absolutePath, help: 'Its private key.' },
  http_client_ca_file: {
    kind: 'string',
    check: absolutePath,
    help: 'CA certificates of whoever may read page and metrics over TLS.',
  },
  read_socket: {
    kind: 'string',
    default: '/run/towerkeep/read.sock',
    check: absolutePath,
    help: 'Socket that answers questions, mode 0660.',
  },
  admin_socket: {
    kind: 'string',
    default: '/run/towerkeep/admin.sock',
    check: absolutePath,
    help: 'Socket that takes orders, mode 0600.',
  },
  mass_verdicts: {
    kind: 'string',
    oneOf: ['cut', 'hold'],
    default: 'cut',
    help: 'Whether verdicts are acted on while the brake is on: the gate refuses those hosts anyway.',
  },
  brake_percent: {
    kind: 'integer',
    default: 20,
    min: 1,
    max: 100,
    help: 'The brake stops evictions for absence when more than this share of hosts goes absent within a minute.',
  },
  brake_hosts: { kind: 'integer', default: 3, min: 1, max: 100_000, help: 'But never for fewer hosts than this.' },
  recover: {
    kind: 'string',
    oneOf: ['off', 'reboot'],
    default: 'off',
    help: '`reboot`: the verifier begins anew with hosts that it could not reach and that answer again, as `towerkeep recover` has it. `off`: a person does that, and the daemon has no means to change anything at Keylime.',
  },
  per_host_metrics: { kind: 'boolean', default: true, help: 'Whether metrics name each host.' },
  audit_file: {
    kind: 'string',
    default: '/var/lib/towerkeep/watch/audit.jsonl',
    check: absolutePath,
    help: 'One line a decision, each chained to the one before by its hash.',
  },
  notify_command: {
    kind: 'string_list',
    default: [],
    max: 32,
    help: 'Program and words that are started for each action and alert, with the facts in its environment.',
  },
})

/** The values. */
export type WatchValues = Decoded<(typeof WATCH_SCHEMA)['fields']>

/** The values of a configuration without the block. */
export const WATCH_DEFAULTS: WatchValues = decodeConfig('', WATCH_SCHEMA).values
