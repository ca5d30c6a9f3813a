/**
 * Findings of the daemon.
 *
 * @module
 */
import type { FindingEntry } from './entry.ts'

/** The entries. */
export const WATCH_FINDINGS = {
  'TK-WATCH-BRAKE': {
    severity: 'crit',
    meaning: 'Many hosts went absent at once, so no more are evicted for absence.',
    cause: 'The verifier, its network or its clock failed, which says nothing about the hosts.',
    next: 'mend Keylime; the brake opens by itself when the hosts are seen again',
    incidents: ['P03'],
  },
  'TK-WATCH-PENDING': {
    severity: 'crit',
    meaning: 'A host is to be cut off and SPIRE has not done it yet.',
    cause: 'The SPIRE server is away or refuses the call; it is tried again each second.',
    next: 'start the SPIRE server, or let towerkeep open its socket',
    incidents: [],
  },
  'TK-WATCH-RETURNED': {
    severity: 'crit',
    meaning: 'A banned SPIRE agent was attested again and has been banned once more.',
    cause: 'An attestation was in flight while it was banned, or somebody deleted the ban while the host is failed.',
    next: 'find out who deleted the agent; the audit log of the SPIRE server names the caller',
    incidents: [],
  },
  'TK-WATCH-OBSERVE': {
    severity: 'info',
    meaning: 'watch is in mode observe: it says what it would do, and does nothing.',
    cause: 'The mode after installation.',
    next: 'set mode = "ban" in /etc/towerkeep.hcl when what it says is right',
    incidents: ['P25'],
  },
  'TK-WATCH-LISTEN': {
    severity: 'crit',
    meaning: 'A listener would be open beyond this machine without TLS.',
    cause: 'http_address is no loopback address, and no certificate and client CA are configured.',
    next: 'listen on 127.0.0.1, or set http_cert_file, http_key_file and http_client_ca_file',
    incidents: ['P22'],
  },
} as const satisfies Readonly<Record<string, FindingEntry>>
