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
    'A certificate authority that is sealed, away or refuses is exit 75: the old files stay in force and the timer comes again.',
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
