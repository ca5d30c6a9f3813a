/**
 * Findings about what is written down: configuration, identity, policy.
 *
 * @module
 */
import type { FindingEntry } from './entry.ts'

/** The entries. */
export const CONFIGURATION_FINDINGS = {
  'TK-DOC-UNSEEN': {
    severity: 'unknown',
    meaning: 'Something could not be looked at, which says nothing about it.',
    cause: 'This user may not read it, or it did not answer.',
    next: 'run doctor as root on the machine named, or mend what does not answer',
    incidents: [],
  },
  'TK-CONF-PLUGIN': {
    severity: 'crit',
    meaning: "The plugin's configuration has a key or value that is not known: the plugin refuses it.",
    cause: 'A slip of the keyboard, or a key that another attestor had. The Go plugin ignored such keys in silence.',
    next: 'mend the key that is named; spire-server validate checks it without a restart',
    incidents: ['P07'],
  },
  'TK-CONF-LIST': {
    severity: 'crit',
    meaning: 'A Keylime option that must be a list is a bare word: the service does not start.',
    cause: 'Keylime reads such options as Python literals.',
    next: 'write it as ["file"]',
    incidents: ['P29'],
  },
  'TK-CONF-UNKNOWN-KEY': {
    severity: 'crit',
    meaning: 'A Keylime configuration has a key that the program does not know, and ignores in silence.',
    cause: 'A template for another program or release, or a slip.',
    next: 'correct or remove the key',
    incidents: ['P28', 'P29'],
  },
  'TK-CONF-WRONG-FILE': {
    severity: 'crit',
    meaning: 'A configuration file exists that nobody reads.',
    cause: 'The Rust Keylime agent reads /etc/keylime/agent.conf; a file of another name changes nothing.',
    next: 'move its settings to /etc/keylime/agent.conf and remove it',
    incidents: ['P06', 'P29'],
  },
  'TK-CONF-CONTACT': {
    severity: 'crit',
    meaning: 'The Keylime agent registers a loopback address: the verifier would poll its own machine.',
    cause: 'contact_ip was left at its default.',
    next: "set contact_ip to the host's address and restart keylime_agent",
    incidents: ['P29'],
  },
  'TK-ID-DEFAULT': {
    severity: 'crit',
    meaning: 'A Keylime agent claims the ID that every agent without uuid claims.',
    cause: 'agent.conf has no uuid.',
    next: 'set uuid = "hash_ek" in /etc/keylime/agent.conf and restart keylime_agent',
    incidents: ['P06'],
  },
  'TK-ID-RANDOM': {
    severity: 'crit',
    meaning: 'The Keylime agent takes a new random ID at each start, and with it a new SPIFFE ID.',
    cause: 'uuid is "generate" or a word that is no UUID, such as "auto".',
    next: 'set uuid = "hash_ek"; then towerkeep entries reparent for the entries of the old ID',
    incidents: ['P06'],
  },
  'TK-ID-SHARED-EK': {
    severity: 'crit',
    meaning: 'One TPM is registered under several IDs.',
    cause: 'Its Keylime agent changed its ID and registered again.',
    next: 'set uuid = "hash_ek"; then towerkeep gc for the registrations that are left over',
    incidents: ['P06'],
  },
  'TK-ID-SAME-PLACE': {
    severity: 'crit',
    meaning: 'Two hosts are enrolled with one address, or a host is enrolled with an address it did not register.',
    cause: 'Enrolment with constants instead of the registered facts: the verifier quotes the wrong machine.',
    next: 'towerkeep gc the wrong one, then towerkeep enroll accept',
    incidents: ['P04'],
  },
  'TK-ID-ORPHAN': {
    severity: 'warn',
    meaning: 'Registration entries have a parent that is no agent, or an alias that no agent matches.',
    cause: 'The agent changed its ID, or was removed.',
    next: 'towerkeep entries reparent OLD NEW, or towerkeep gc',
    incidents: ['P19', 'P06'],
  },
  'TK-ID-EK-UNCHECKED': {
    severity: 'warn',
    meaning: 'Nobody checks that the TPMs are real: the endorsement certificates are verified against no CA.',
    cause: "ek_ca_path is not set in the plugin's configuration.",
    next: 'set ek_ca_path to the CA certificates of the TPM makers',
    incidents: ['P32'],
  },
  'TK-ID-EK-CHAIN': {
    severity: 'warn',
    meaning: 'The endorsement certificate that a host registered comes from no CA that is trusted, or it has none.',
    cause: 'Another maker, an emulated TPM, or a file is missing under ek_ca_path.',
    next: "add the maker's CA certificates under ek_ca_path, or find out what machine that is",
    incidents: ['P32'],
  },
  'TK-POLICY-KERNEL': {
    severity: 'warn',
    meaning: 'The kernel that runs is not the one that the baseline was taken with.',
    cause: 'An update was installed and booted.',
    next: 'towerkeep policy diff HOST, and towerkeep policy approve HOST when it was meant',
    incidents: ['P26'],
  },
  'TK-GC-RUBBISH': {
    severity: 'warn',
    meaning: 'Records are left over that belong to no host.',
    cause: 'Hosts were removed or changed their ID, and not every service was told.',
    next: 'towerkeep gc lists them, towerkeep gc --delete removes them',
    incidents: ['P23'],
  },
  'TK-KL-NEVER': {
    severity: 'crit',
    meaning: 'The verifier shows a passing state for a host that never passed a quote.',
    cause: 'It was just enrolled, or the row was written by hand.',
    next: 'wait for two quote intervals; then towerkeep gc HOST and towerkeep enroll accept',
    incidents: ['P02'],
  },
  'TK-KL-FROZEN': {
    severity: 'crit',
    meaning: 'The verifier shows a passing state, and nobody polls the host any more.',
    cause:
      "The state was written into the verifier's database, or its poller has died: longer ago than all retries take.",
    next: 'restart the verifier, which polls every host in a passing state; never write into its database',
    incidents: ['P03'],
  },
  'TK-KL-BUDGET': {
    severity: 'warn',
    meaning: 'The verifier gives a host up sooner than the longest boot took: after a power cut it stays failed.',
    cause: 'retry_interval, max_retries and exponential_backoff of verifier.conf are shorter than a boot.',
    next: 'raise max_retries in verifier.conf; until then towerkeep recover after a power cut',
    incidents: ['P05'],
  },
  'TK-KL-NOTIFY-AGENT': {
    severity: 'crit',
    meaning:
      'The verifier does not ring the webhook, or tells every other agent first, up to a minute before it stores the failure.',
    cause: "enabled_revocation_notifications is not ['webhook'] alone, or webhook_url is not set.",
    next: "set enabled_revocation_notifications = ['webhook'] and webhook_url in verifier.conf, and restart it",
    incidents: ['P25'],
  },
  'TK-KL-VERSION': {
    severity: 'crit',
    meaning: 'A Keylime service or agent speaks no API version that the others speak.',
    cause: 'One of them is much older or newer.',
    next: 'bring them to releases that share a version',
    incidents: ['P18'],
  },
  'TK-CLOCK-SKEW': {
    severity: 'warn',
    meaning: 'The clocks of this machine and of a service differ by more than a few seconds.',
    cause: 'No time synchronisation on one of them.',
    next: 'start chrony or systemd-timesyncd on both',
    incidents: [],
  },
} as const satisfies Readonly<Record<string, FindingEntry>>
