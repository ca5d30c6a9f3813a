/**
 * Findings about one machine: certificates, plugins, units, secrets, SPIRE's settings.
 *
 * @module
 */
import type { FindingEntry } from './entry.ts'

/** The entries. */
export const MACHINE_FINDINGS = {
  'TK-CERT-FILE': {
    severity: 'crit',
    meaning: 'A certificate file has ended, or cannot be used.',
    cause: 'Nobody renewed it, or the renewal failed in silence.',
    next: 'towerkeep renew',
    incidents: ['P10'],
  },
  'TK-CERT-FILE-LOW': {
    severity: 'warn',
    meaning: "Less than a quarter of a certificate file's life is left.",
    cause: 'Renewal is due at a third, so it failed or is not set up.',
    next: 'towerkeep renew; look at towerkeep-renew.timer',
    incidents: ['P10'],
  },
  'TK-CERT-CHAIN': {
    severity: 'crit',
    meaning:
      'A program does not trust what another presents: the chain does not meet the trust file, as that program reads it.',
    cause:
      'The server sends its leaf alone, the trust file lacks an issuer, or a CA was made anew under the same name.',
    next: 'append the issuer that is named to the trust file, or to what the server sends',
    incidents: ['P11', 'P21'],
  },
  'TK-CERT-OLD': {
    severity: 'crit',
    meaning: 'A service still presents another certificate than the file it was started with holds now.',
    cause: 'The file was renewed and the service reads it only at its start.',
    next: 'restart the service that is named; let renew do it (reload)',
    incidents: ['P13'],
  },
  'TK-CERT-KEY': {
    severity: 'crit',
    meaning: 'A key file is missing, is no private key, or belongs to another certificate.',
    cause: 'One of the two files was replaced alone, or the path changed.',
    next: 'towerkeep renew makes both anew',
    incidents: ['P17'],
  },
  'TK-CERT-ADMIN': {
    severity: 'crit',
    meaning: "A host's certificate makes its bearer an administrator of Keylime.",
    cause: "It is good for clients, and comes from a CA that the verifier's trusted_client_ca trusts.",
    next: 'issue it from a role with client_flag=false',
    incidents: ['P08'],
  },
  'TK-CERT-READ': {
    severity: 'crit',
    meaning: 'A program may not read a file it needs, as its own user.',
    cause: 'Owner or mode changed, often at a renewal.',
    next: 'give its user or group the right to read the file; renew keeps owner and mode',
    incidents: ['P20'],
  },
  'TK-CERT-WRITERS': {
    severity: 'warn',
    meaning: 'Two units or scripts write the same certificate.',
    cause: 'An older renewal was left in place beside towerkeep renew, and undoes it.',
    next: 'disable the other unit',
    incidents: ['P21'],
  },
  'TK-NET-NAME': {
    severity: 'crit',
    meaning: 'A service presents a certificate without the name it is called by.',
    cause: "The certificate is another service's, or the proxy in front chose the wrong one.",
    next: 'issue one with that name, or set the plugin key *_server_name',
    incidents: ['P33'],
  },
  'TK-NET-PROXY-LOG': {
    severity: 'warn',
    meaning: "A proxy in front of Keylime writes whole request lines to its log, and with them nodes' quotes.",
    cause:
      "nginx's default log format holds the query string, in which the verifier's identity check carries the quote.",
    next: 'log $uri instead of $request in that server block',
    incidents: ['P33'],
  },
  'TK-NET-LENDS': {
    severity: 'crit',
    meaning: 'A proxy presents its own client certificate to Keylime for whoever calls it.',
    cause: 'proxy_ssl_certificate with ssl_verify_client off: callers without a certificate become administrators.',
    next: 'remove the proxy: the plugin presents its own certificate',
    incidents: ['P08'],
  },
  'TK-NET-CROSS': {
    severity: 'crit',
    meaning:
      "Another host's Keylime agent accepts this host's certificate: whoever holds it can fetch that host's quotes.",
    cause:
      "trusted_client_ca of that agent names the common CA instead of the verifier's CA and one certificate of its own host.",
    next: "list only the verifier's CA and that host's own plugin certificate in trusted_client_ca",
    incidents: ['P09'],
  },
  'TK-NET-PLAIN': {
    severity: 'info',
    meaning: 'Keylime agents register over plain HTTP.',
    cause: 'The pull-mode agent speaks no TLS to the registrar.',
    next: 'keep port 8890 within the network of the hosts; the registered keys are proved by the TPM',
    incidents: ['P22'],
  },
  'TK-BOOT-CYCLE': {
    severity: 'warn',
    meaning: 'Units wait for each other in a circle: after a power cut none of them starts.',
    cause: 'Hard Requires= between renewal, vault, SPIRE and Keylime.',
    next: 'turn one Requires= into Wants=, and let renewal come by timer',
    incidents: ['P14'],
  },
  'TK-BOOT-CREDENTIAL': {
    severity: 'warn',
    meaning: 'A certificate can be renewed only with an SVID, which needs that very certificate to be good.',
    cause: 'No second login: a host that was off for longer than the certificate lives never comes back.',
    next: 'add approle_role_id_file and approle_secret_id_file to its description',
    incidents: ['P14'],
  },
  'TK-BOOT-RUN': {
    severity: 'warn',
    meaning: 'A socket lies in a folder of /run that nobody makes at boot.',
    cause: 'No tmpfiles.d line and no RuntimeDirectory= names it.',
    next: 'install the tmpfiles of the package, or add RuntimeDirectory= to the unit',
    incidents: ['P30'],
  },
  'TK-BOOT-PROTECT': {
    severity: 'warn',
    meaning: "The Keylime agent's unit forbids what it needs: it cannot mount its secure folder.",
    cause: 'ProtectSystem=strict without ReadWritePaths= for /var/lib/keylime.',
    next: 'add ReadWritePaths=/var/lib/keylime, or leave ProtectSystem at full',
    incidents: ['P30'],
  },
  'TK-BOOT-UNIT': {
    severity: 'warn',
    meaning: 'A unit names another that does not exist, so its order or check means nothing.',
    cause: 'The other is called differently: keylime_agent, not keylime-agent.',
    next: 'correct the name',
    incidents: ['P24'],
  },
  'TK-BUNDLE-STALE': {
    severity: 'crit',
    meaning:
      "This host's copy of SPIRE's bundle holds no authority that is in force: after an outage its agent cannot attest.",
    cause: "SPIRE's authorities rotate; a file that nobody renews does not.",
    next: 'write the present bundle (spire-server bundle show) to the file, and set rebootstrap_mode = "auto"',
    incidents: ['P15'],
  },
  'TK-BUNDLE-REBOOTSTRAP': {
    severity: 'warn',
    meaning: 'A SPIRE agent whose bundle is too old does not ask for a new one.',
    cause: 'rebootstrap_mode is not set, and its default is never.',
    next: 'set rebootstrap_mode = "auto" in the agent block of agent.conf',
    incidents: ['P15'],
  },
  'TK-PLUGIN-SUM': {
    severity: 'crit',
    meaning: 'The plugin file is not the one that SPIRE was told to run: it refuses to start it.',
    cause: 'The file was replaced, or plugin_checksum was not.',
    next: 'towerkeep pin --write SPIRE.CONF',
    incidents: ['P16'],
  },
  'TK-PLUGIN-UNPINNED': {
    severity: 'warn',
    meaning: 'SPIRE runs whatever lies at the path of the plugin.',
    cause: 'plugin_checksum is empty or missing.',
    next: 'towerkeep pin --write SPIRE.CONF',
    incidents: ['P16'],
  },
  'TK-PLUGIN-SWAPPED': {
    severity: 'crit',
    meaning: 'The running plugin is another program than the file at its path.',
    cause: 'The file was replaced under the running process.',
    next: 'restart SPIRE, after the file has been checked with towerkeep pin --check',
    incidents: ['P16'],
  },
  'TK-PLUGIN-FOREIGN': {
    severity: 'warn',
    meaning: 'The plugin is not ours, so nothing can be said about what it checks.',
    cause: 'A Go plugin, or a script, stands at plugin_cmd.',
    next: 'install keylime-attestor-server or -agent; docs/migration.md',
    incidents: ['P12', 'P35'],
  },
  'TK-PLUGIN-INSECURE': {
    severity: 'crit',
    meaning: 'The SPIRE agent takes the first server that answers for its own.',
    cause: 'insecure_bootstrap = true.',
    next: 'give it trust_bundle_path or trust_bundle_url, and remove insecure_bootstrap',
    incidents: ['P12'],
  },
  'TK-SPIRE-CUTOFF': {
    severity: 'crit',
    meaning: 'Nobody takes the identity of a failed host away before it runs out.',
    cause: 'towerkeep watch does not run, or only observes.',
    next: 'start towerkeep-watch.service with mode = "ban"',
    incidents: ['P25'],
  },
  'TK-SPIRE-SLOW': {
    severity: 'warn',
    meaning: 'A host that is cut off goes on serving its workloads for longer than five seconds.',
    cause: 'The SPIRE agent learns of it at its next sync, and sync_interval is 5 s by default.',
    next: 'set experimental { sync_interval = "1s" } in agent.conf: 1,000 agents cost the server half a core',
    incidents: ['P25'],
  },
  'TK-SPIRE-TELEMETRY': {
    severity: 'warn',
    meaning: 'SPIRE publishes no metrics, so those of the plugin are lost too.',
    cause: 'No telemetry block.',
    next: 'add telemetry { Prometheus { port = 9988 } }',
    incidents: ['P34'],
  },
  'TK-SEC-TOKEN': {
    severity: 'crit',
    meaning: 'A vault token lies in a file and may do everything, never ends, or can be read by others.',
    cause: 'A token of an administrator was put there for a script.',
    next: 'revoke it; let renew log in by SVID or by an AppRole with one path',
    incidents: ['P27'],
  },
  'TK-SEC-UNVERIFIED': {
    severity: 'crit',
    meaning: 'A unit or script turns off the check of who is at the other end.',
    cause: 'SKIP_VERIFY, InsecureSkipVerify, curl -k or StrictHostKeyChecking=no.',
    next: 'name the CA file instead',
    incidents: ['P12', 'P27'],
  },
  'TK-SEC-VARIABLES': {
    severity: 'warn',
    meaning: 'A unit or script sets BAO_* variables for a program that reads VAULT_*, or the reverse.',
    cause: 'Vault was installed under the name bao, or OpenBao under the name vault.',
    next: 'set both families, or let renew ask over HTTP',
    incidents: ['P10', 'P27'],
  },
  'TK-DEVID-KEY': {
    severity: 'crit',
    meaning: "A DevID certificate certifies a key that is not in this host's TPM.",
    cause: 'The request was signed with a key made by OpenSSL.',
    next: 'towerkeep renew devid makes the key in the TPM and has it certified',
    incidents: ['P31'],
  },
} as const satisfies Readonly<Record<string, FindingEntry>>
