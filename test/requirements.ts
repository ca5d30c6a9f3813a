/**
 * Every promise the project makes, by id: conformance cases (C), acceptance items (T) and operators' incidents (P).
 *
 * A test cites an id in its title, `it('refuses a replayed quote [T62]', …)`. `requirements.test.ts` fails when an id is
 * neither cited nor deferred with a reason, when a citation is unknown, and when a deferred id is cited after all.
 *
 * @module
 */

/** One promise. */
export interface Requirement {
  /** `C`, `T` or `P` and two digits. */
  readonly id: string
  /** What an operator or a host would see. */
  readonly promise: string
  /** Why no test shows it yet; absent when one does. */
  readonly deferred?: string
}

/** Lists all promises, in order of id. */
export const REQUIREMENTS: readonly Requirement[] = [
  { id: 'C01', promise: 'no cookie -> stderr text, empty stdout, exit 1' },
  { id: 'C02', promise: 'wrong cookie value -> same' },
  { id: 'C03', promise: 'PLUGIN_PROTOCOL_VERSIONS unset -> line says version 1' },
  {
    id: 'C04',
    promise:
      "versions '2' -> line says 1; host: 'incompatible API version with plugin. Plugin version: 1, Client versions: [2]'",
  },
  { id: 'C05', promise: "versions 'x,1' / '1,2' -> 1 chosen, garbage reported on stderr" },
  { id: 'C06', promise: "byte-exact line without TLS -> '1|1|unix|<path>|grpc|' LF, nothing else ever on stdout" },
  { id: 'C07', promise: 'dial in the same millisecond as the line -> first RPC succeeds, 100 runs' },
  { id: 'C08', promise: 'StartTimeout 2 s on a loaded 2-core machine -> starts' },
  { id: 'C09', promise: 'TMPDIR and PLUGIN_UNIX_SOCKET_DIR set -> socket there; removed after exit' },
  {
    id: 'C10',
    promise: 'PLUGIN_UNIX_SOCKET_GROUP=<gid> and =<name> -> mode 0660, group set; unknown group -> JSON error, exit',
  },
  {
    id: 'C11',
    promise: 'TMPDIR of 120 chars -> JSON error on stderr, non-zero exit, host says plugin exited / no lines',
  },
  {
    id: 'C12',
    promise:
      'PLUGIN_MULTIPLEX_GRPC=true -> either full mux (Ping, both-way broker, stream) or 7th field false -> ErrGRPCBrokerMuxNotSupported',
  },
  { id: 'C13', promise: 'mux unset -> exactly 6 fields' },
  { id: 'C14', promise: 'AutoMTLS -> field 6 unpadded base64, Ping ok; plaintext client and other cert refused' },
  { id: 'C15', promise: 'AutoMTLS + AcceptAndServe on the host, plugin dials -> call ok; and reverse' },
  { id: 'C16', promise: 'old host (go-plugin 1.0.1) -> loads, Ping, broker, Kill < 2 s' },
  {
    id: 'C17',
    promise: 'health Check plugin / "" / nope; Watch -> SERVING / SERVING / NOT_FOUND; stream with SERVING',
  },
  {
    id: 'C18',
    promise:
      'reflection ListServices v1, v1alpha -> includes health, reflection x2, plugin.GRPC{Broker,Controller,Stdio}, own services',
  },
  {
    id: 'C19',
    promise: 'SyncStdout set, plugin prints to console -> bytes arrive on channel 1/2 in order; not on fd 1',
  },
  { id: 'C20', promise: 'nobody reads StreamStdio, plugin prints 50 MiB -> bounded memory, RPCs still served' },
  {
    id: 'C21',
    promise: 'log lines all levels, nested values, unicode, newline in message -> host shows level, message, fields',
  },
  { id: 'C22', promise: "'@message' given a number/object by user code -> string on the wire, host alive" },
  { id: 'C23', promise: '200 KiB log message -> truncated below 64 KiB, level kept' },
  { id: 'C24', promise: 'timestamp format -> parses (6 digits)' },
  {
    id: 'C25',
    promise:
      'uncaught exception in a handler / unhandled rejection -> that RPC fails with a status, JSON error logged, process lives (or exits 1 with the log flushed)',
  },
  { id: 'C26', promise: 'bidirectional Counter example -> result correct through brokered host server' },
  {
    id: 'C27',
    promise: 'ConnInfo dialed 10 s after arrival -> works (Go would time out) ; never arriving -> error after 5 s',
  },
  { id: 'C28', promise: 'two broker ids, 20 in parallel -> each reaches the right server' },
  { id: 'C29', promise: 'Kill during an idle plugin -> exit 0 in < 2 s, socket gone, not force-killed' },
  {
    id: 'C30',
    promise: 'Kill during 50 open streams and a child process -> same; no inherited fd keeps the host waiting',
  },
  { id: 'C31', promise: 'SIGINT x3, SIGUSR1, SIGUSR2 to the plugin -> still serving; no inspector port' },
  {
    id: 'C32',
    promise:
      'SIGTERM then Shutdown within grace -> answers Deinit/Shutdown, exit 0; without Shutdown exits after grace',
  },
  { id: 'C33', promise: 'SIGKILL the host (no Pdeathsig) -> plugin gone within 2 s' },
  { id: 'C34', promise: 'host stdin closed / null -> keeps serving' },
  { id: 'C35', promise: 'stderr reader gone (EPIPE) -> no crash' },
  { id: 'C36', promise: 'reattach: probe connection, then 2 clients -> both served' },
  { id: 'C37', promise: 'host connection dropped and re-dialed -> new connection served' },
  { id: 'C38', promise: '16 MiB unary both ways; 1000 concurrent streams -> ok' },
  {
    id: 'C39',
    promise: 'deadline exceeded / client cancel mid-handler -> AbortSignal fires, handler stops, no late write error',
  },
  {
    id: 'C40',
    promise: `load successful -> 'hostService(test(plugin(howdy)))', 'hostService(test(service(howdy)))', INFO "CLOSED" at unload`,
  },
  {
    id: 'C41',
    promise:
      "checksum good / none / 'NOT_A_CHECKSUM' / 'DEADBEEF' / 64 zeros -> ok / ok+Warn / 'checksum is not a valid hex string' / 'expected checksum of length 64; got 8' / 'failed to launch plugin: checksums did not match'",
  },
  {
    id: 'C42',
    promise: `mode bad (other cookie) -> 'Unrecognized remote plugin message: ' + "Failed to read any lines from plugin's stdout" + "This usually means"`,
  },
  {
    id: 'C43',
    promise: `configure GOOD / BAD -> ok / 'failed to configure plugin "test": rpc error: code = InvalidArgument desc = bad config'`,
  },
  { id: 'C44', promise: "data given, Config not announced -> 'no supported configuration interface found'" },
  {
    id: 'C45',
    promise:
      'file data, Reconfigure after change / no change -> log CONFIGURED GOOD1, GOOD2 / "not reconfigured since the config is unchanged"',
  },
  {
    id: 'C46',
    promise: `plugin disabled; unknown type; wrong announced service -> not started; 'unsupported plugin type "Quz"'; 'no supported plugin interface found in: [...]'`,
  },
  {
    id: 'C47',
    promise: "plugin needs a host service the host lacks -> Init error is shown in 'failed to load plugin'",
  },
  { id: 'C48', promise: 'Configure concurrent with 100 Attest -> no mix of old and new config in one attestation' },
  {
    id: 'C49',
    promise: 'server facade: no challenge / three challenges / selectors / can_reattest -> result fields equal',
  },
  {
    id: 'C50',
    promise:
      'server facade errors: ends early, throws plain error, status error, empty ID, neither oneof -> Internal "nodeattestor(test): plugin closed stream unexpectedly"; Unknown "nodeattestor(test): ohno"; code kept; "... missing agent ID"; "... missing challenge or agent attributes"',
  },
  {
    id: 'C51',
    promise:
      'server facade: fail at once ("not configured") -> FAILED_PRECONDITION arrives 1000/1000 times (read-before-fail rule)',
  },
  { id: 'C52', promise: 'agent facade: the 11 cases of v1_test.go -> messages as listed in 2.6' },
  {
    id: 'C53',
    promise:
      "Validate: valid, invalid, unknown key, empty -> notes empty / notes / notes / notes; 'spire-server validate' (>= 1.14) exit 0 only for the first",
  },
  { id: 'C54', promise: 'attest, show agent, selectors, alias entry, workload fetches SVID -> all present' },
  {
    id: 'C55',
    promise: 'JSON server.conf; plugin_data_file in HCL and JSON; SIGUSR1 -> same config object; reconfigured',
  },
  { id: 'C56', promise: 'refuse with PermissionDenied / Unavailable -> agent exits at once / retries ~1 min' },
  {
    id: 'C57',
    promise: `'agent evict' while node healthy / failed -> re-attested in < 10 s / "Agent failed re-attestation; removing SVID and shutting down"`,
  },
  {
    id: 'C58',
    promise: `'agent ban', restart agent, 'agent evict' -> "Agent is banned ..."; PermissionDenied; attests again`,
  },
  { id: 'C59', promise: 'agent_ttl 2m: renewals -> AidAttestation+Attest called about every 60 s' },
  { id: 'C60', promise: 'kill -9 the plugin -> SPIRE stays up, attest = Unavailable with prefix' },
  { id: 'C61', promise: 'SPIRE SIGTERM -> "Plugin deinitialized", "Plugin unloaded", no orphan, no error line' },
  { id: 'C62', promise: 'payload of 3.9 MiB and 4.1 MiB -> ok / RESOURCE_EXHAUSTED at the agent' },
  {
    id: 'T01',
    promise:
      'Server plugin is a SPIRE NodeAttestor: real spire-server starts with our plugin_cmd + plugin_checksum in HCL; log "Plugin loaded … external=true plugin_type=NodeAttestor"',
  },
  { id: 'T02', promise: 'Agent plugin likewise: real spire-agent attests; log shows SPIFFE ID' },
  {
    id: 'T03',
    promise: `"All hosts attest before receiving workload identities": before enrolment 'api fetch x509' fails on all three; after, succeeds`,
  },
  {
    id: 'T04',
    promise: "Plugins named 'keylime': SPIFFE ID path '/spire/agent/keylime/<uuid>' byte-identical to the Go plugin's",
  },
  {
    id: 'T05',
    promise: 'Trust domain of the fleet: core config passed through; wrong/missing trust domain → InvalidArgument',
  },
  {
    id: 'T06',
    promise: 'Interop with the existing fleet: Go agent half + our server half, and the reverse, both attest',
  },
  { id: 'T07', promise: "Three agents, all Keylime: 'agent list' = 3, type keylime" },
  {
    id: 'T08',
    promise:
      'UUIDs: default on auth, hash_ek on ca and spire: both forms accepted when the default UUID is explicitly allowed; refused by default (P06)',
  },
  { id: 'T09', promise: 'spire host self-attests: server and agent halves in one namespace' },
  {
    id: 'T10',
    promise: 'Root 100 y RSA 4096 → intermediate RSA 4096: chain of that shape accepted, leaves EC P-256 and RSA 2048',
  },
  {
    id: 'T11',
    promise:
      'Verifier 8881 TLS, registrar 8891 TLS: plugin works direct and through a 443 reverse proxy with client-cert verification',
  },
  { id: 'T12', promise: "OpenBao PKI issuing: 'renew' obtains a cert from 'pki_int/issue/keylime-services' over HTTP" },
  {
    id: 'T13',
    promise:
      "Hardware TPM on all (software TPM): EK certificate of each agent verifies to a configured CA; unknown CA refused when 'ek_ca_path' set",
  },
  {
    id: 'T14',
    promise:
      "AK in TPM, quotes signed by AK: quote signed by another swtpm's AK → refused; AK from registrar equals AK used",
  },
  { id: 'T15', promise: "EK verification: UUID = hash(EK) enforced with 'require_ek_uuid'" },
  {
    id: 'T16',
    promise:
      "Continuous attestation every 2 s: 'attestation_count' grows ≥25 in 60 s on each host while plugin traffic runs",
  },
  {
    id: 'T17',
    promise: 'Tamper detection: extend PCR 7 after baseline → state 9 within 10 s → next SPIRE attest refused',
  },
  {
    id: 'T18',
    promise:
      'Boot integrity measurement: altered event log → refused with a measured-boot policy; and mask-only policy reported "checks nothing" (P01)',
  },
  { id: 'T19', promise: 'Runtime integrity: unlisted file through the IMA emulator → fail → refused' },
  { id: 'T20', promise: 'Agent ↔ verifier mTLS: verifier without client cert gets 401/handshake error from :9002' },
  {
    id: 'T21',
    promise:
      'Agent ↔ registrar mTLS : stock agent registers over HTTP: detected and reported; with our forwarder packet capture shows TLS only',
  },
  {
    id: 'T22',
    promise:
      'Plugin ↔ agent mTLS: capture on loopback: TLS 1.2+; client cert presented; agent with wrong CA refused; hostname checked against SAN IP',
  },
  {
    id: 'T23',
    promise:
      'EC P-256 and RSA 2048 keys: SEC1, PKCS#1, PKCS#8 each load; encrypted key → clear error; key/cert mismatch → clear error',
  },
  {
    id: 'T24',
    promise: '7-day TTL, frequent rotation: renew under load 20×: zero failed attestations, no restart of SPIRE',
  },
  { id: 'T25', promise: 'SANs proper: SAN mismatch → refused, message names expected and presented names' },
  {
    id: 'T26',
    promise:
      'Encrypted, mutual, cert-based control, no plaintext: whole-bench capture: zero plaintext HTTP bodies among Keylime/SPIRE flows (registrar per T21)',
  },
  { id: 'T27', promise: "'keylime_agent_use_tls': true/false behave as in the fork; false logs a warning" },
  {
    id: 'T28',
    promise:
      "'keylime_agent_ca_cert': root only, chain, intermediate only, several roots: all work (Node partial-chain trap, P11)",
  },
  {
    id: 'T29',
    promise:
      "'keylime_agent_client_cert' / '_key': both or neither; missing/unreadable file → Configure error naming path, user and mode",
  },
  { id: 'T30', promise: "HTTPS added to upstream's keys: upstream's HTTP-only configuration still works unchanged" },
  {
    id: 'T31',
    promise:
      'Boot measured → registers → continuous → SVID → workload: one scripted run shows the five steps in order with timestamps',
  },
  {
    id: 'T32',
    promise: `"Only attested agents receive SVIDs": matrix over states 0–10 and 404: SVID only for state 3 or 5 with 'attestation_count' ≥ 1 and a fresh timestamp; 1, 4, 6 pending; 7, 9, 10 denied; 404 FailedPrecondition`,
  },
  {
    id: 'T33',
    promise: 'Trust chain TPM → Keylime → SPIRE → workload: break each link in turn; identity stops at that link',
  },
  {
    id: 'T34',
    promise: "Service health table: 'status --all' reproduces the table; kill one agent → row changes, exit 2",
    deferred:
      "needs the operators' command-line tool (status --all over a fleet), which is no part of the plugins or of this bench; the tower has a status of its own",
  },
  {
    id: 'T35',
    promise: `Can re-attest = Yes: 'agent list' "Can re-attest: true"; evict → same ID returns without manual steps`,
  },
  {
    id: 'T36',
    promise: 'SVID renewal re-checks Keylime: fail host in Keylime; within agent TTL its agent SVID is not renewed',
  },
  { id: 'T37', promise: "Keylime table PASS, 100+: 'status' shows count and freshness" },
  {
    id: 'T38',
    promise:
      "HTTP agents initially, then HTTPS: live migration: flip 'use_tls' and restart, same SPIFFE ID, entries keep working",
  },
  {
    id: 'T39',
    promise: "PKI roles for use cases: 'onboard' uses distinct server and client roles",
    deferred:
      "needs the operators' command-line tool (onboard), which is no part of the plugins or of this bench; the tower issues from distinct roles",
  },
  {
    id: 'T40',
    promise: "Automated issuance: 'renew --all' unattended 3 cycles with 5-minute certs",
    deferred:
      "needs the operators' command-line tool (renew --all), which is no part of the plugins or of this bench; the tower renews through OpenBao on command",
  },
  { id: 'T41', promise: 'Deployed to all hosts: one artefact, same checksum, three namespaces' },
  {
    id: 'T42',
    promise:
      'Published for the community: licence, README, config reference generated from schema, release manifest with checksums',
  },
  {
    id: 'T43',
    promise:
      '"No prior documentation for HTTPS Keylime attestation": quick start followed literally by a script reaches first SVID',
  },
  {
    id: 'T44',
    promise: "join_token eliminated: server.conf with only our NodeAttestor; 'agent list' shows none other",
  },
  {
    id: 'T45',
    promise:
      'Defence in depth TPM + mTLS: valid client cert without TPM proof → refused; TPM proof without client cert → refused',
  },
  { id: 'T46', promise: 'Reproducible deployments: clean build twice = same sha256' },
  {
    id: 'T47',
    promise: "Version-controlled configs: 'onboard --emit' writes text files only, stable diff, no secrets",
    deferred:
      "needs the operators' command-line tool (onboard --emit), which is no part of the plugins or of this bench",
  },
  {
    id: 'T48',
    promise:
      "100 % TPM, 0 % join_token, 100 % mTLS, 0 % HTTP: 'status --output json' exposes these four numbers, computed",
    deferred:
      "needs the operators' command-line tool (status --output json), which is no part of the plugins or of this bench",
  },
  {
    id: 'T49',
    promise: 'All services active, no failed attestations: 30-minute soak: 0 failures, flat memory, no fd growth',
  },
  {
    id: 'T50',
    promise:
      'Troubleshooting runbooks: every gRPC error carries a code found in the runbook; test asserts none missing',
  },
  {
    id: 'T51',
    promise: 'Certificate management procedures: covered by T12, T24, T40',
    deferred: 'is the sum of T12, T24 and T40; the first two are tested, T40 is deferred',
  },
  {
    id: 'T52',
    promise: 'Issue SPIFFE identities to workloads: X.509 and JWT SVIDs for a unix:uid workload on each host',
  },
  {
    id: 'T53',
    promise: 'Automatic mTLS between services: two workloads talk mTLS with fetched SVIDs; stops after revoke',
  },
  { id: 'T54', promise: "Fine-grained access control: entry with selector 'keylime:…' matches only the intended host" },
  { id: 'T55', promise: 'Verify host integrity before access: T17–T19 in one scenario ending in denied workload SVID' },
  {
    id: 'T56',
    promise: "Detect compromised systems: 'watch' evicts ≤5 s after Keylime failure",
    deferred:
      "needs the operators' command-line tool (watch), which is no part of the plugins or of this bench; the tower measures the cut-off with a small evictor of its own",
  },
  {
    id: 'T57',
    promise: 'Continuous security monitoring: Prometheus scrape shows state, age, count, cert life per host',
    deferred:
      "needs the operators' command-line tool (a Prometheus exporter), which is no part of the plugins or of this bench; the plugins report through the Metrics host service of SPIRE instead",
  },
  {
    id: 'T58',
    promise: 'Short-lived credentials: 60 s agent TTL runs 30 min without gap',
    deferred:
      'half an hour is too long for the suite: the end-to-end test of C59 shows renewals of a 20 s agent TTL without a gap, over a minute',
  },
  {
    id: 'T59',
    promise: "Centralised PKI: all leaves on the bench chain to one intermediate; 'doctor certs' lists them",
  },
  {
    id: 'T60',
    promise:
      'Never trust, always verify: verifier down → no new SVID (Unavailable), existing until TTL; never fail-open',
  },
  {
    id: 'T61',
    promise: 'Hardware-backed trust (software TPM): clone host disk to 4th namespace with another swtpm → refused',
  },
  { id: 'T62', promise: 'Cryptographic proof: replayed quote with old nonce → refused' },
  {
    id: 'T63',
    promise: 'NEXT immediate: automated renewal: = T24+T40 with systemd timer units supplied',
    deferred:
      "needs the operators' command-line tool (renew, with timer units), which is no part of the plugins or of this bench",
  },
  { id: 'T64', promise: "Monitor expiration: thresholds by life share; expired cert → 'doctor' exit 2 and metric" },
  {
    id: 'T65',
    promise:
      'Operational runbooks: the five the operator lists: attestation failure, new host, renewal, SPIRE agent recovery, disaster recovery',
  },
  { id: 'T66', promise: 'SHORT: add hosts: 4th namespace onboarded by one command in <2 min' },
  { id: 'T67', promise: 'Deploy workloads: = T52 for openbao, step-ca, test-workload entries' },
  {
    id: 'T68',
    promise: 'Service mesh Istio/Envoy: Envoy (if its binary can be had) gets SVIDs by SDS from an agent we attested',
  },
  {
    id: 'T69',
    promise: 'LONG: contribute upstream: compat suite runs against the Go plugins too and reports differences',
    deferred: 'the conformance host drives our plugins; pointing it at the Go pair is left until upstream asks for it',
  },
  {
    id: 'T70',
    promise: "DevID rotation: 'doctor devid' catches a cert whose key is not the TPM's",
    deferred: "needs the operators' command-line tool (doctor devid), which is no part of the plugins or of this bench",
  },
  { id: 'T71', promise: "Measured boot policies: T18 through 'policy baseline/approve'" },
  { id: 'T72', promise: "IMA: T19 through 'policy' with package update cycle" },
  {
    id: 'T73',
    promise:
      'Production-ready: T49 + kill -9 of plugin, verifier restart, registrar loss, clock skew ±5 min, full disk: each ends in a named error and recovery',
  },
  { id: 'T74', promise: 'Custom plugin with HTTPS: T22' },
  { id: 'T75', promise: 'Complete documentation: link check; every config key documented' },
  {
    id: 'T76',
    promise:
      "Reboot survival (P05): boot later than the retry budget; 'recover' or 'watch' restores in ≤30 s; no sqlite touched",
  },
  {
    id: 'T77',
    promise: "Frozen state 3 (P03): write state 3 behind the verifier's back; plugin refuses on age; 'status' CRITICAL",
  },
  { id: 'T78', promise: 'START is not trust (P02): agent added but unreachable: refused' },
  {
    id: 'T79',
    promise: `Policy strength (P01): '{"mask":"0x90"}' → refused in strict mode, selector 'keylime:policy:none' otherwise`,
  },
  {
    id: 'T80',
    promise:
      "Unknown config key (P07): Configure returns InvalidArgument with suggestion, Validate a note; 'spire-server validate' (≥ 1.14) shows it",
  },
  {
    id: 'T81',
    promise: 'Cert reload (P13): replace client cert under a running plugin, expire the old: next attest works',
  },
  { id: 'T82', promise: 'API negotiation (P18): mock and real 2.2, 2.5, 2.6 (and newest) endpoints' },
  {
    id: 'T83',
    promise: `UUID churn (P06): 'uuid="auto"' restart → 'doctor' names it; 'entries reparent' repairs`,
    deferred:
      "needs the operators' command-line tool (doctor, entries reparent), which is no part of the plugins or of this bench",
  },
  { id: 'T84', promise: 'Default UUID twice (P06): second host refused with a message naming both hosts' },
  {
    id: 'T85',
    promise: 'GC four-way (P23): 12 seeded kinds of rubbish: exact report, nothing healthy deleted',
    deferred: "needs the operators' command-line tool (gc), which is no part of the plugins or of this bench",
  },
  {
    id: 'T86',
    promise:
      "Reload policy without restart (P16): edit 'plugin_data_file', SIGUSR1, new policy in force, same PID and checksum",
  },
  { id: 'T87', promise: "Checksum mismatch: server start fails; 'pin' prints the fix" },
  {
    id: 'T88',
    promise:
      "Admin cert (P08): agent cert with clientAuth trusted by verifier → 'doctor' CRITICAL with a live proof that it could delete an agent (dry run by GET)",
  },
  {
    id: 'T89',
    promise: "Cross-host relay (P09): 'ca' points its plugin at auth's :9002: refused with the recommended set-up",
  },
  {
    id: 'T90',
    promise: "Trust bundle (P15): server CA rotated while agent is off: returns by 'rebootstrap_mode=auto'",
  },
  {
    id: 'T91',
    promise: "Permissions (P20): 'doctor --as-user spire' catches keylime:tss 640",
    deferred:
      "needs the operators' command-line tool (doctor --as-user), which is no part of the plugins or of this bench; the plugins name path, owner, mode and their own user at Configure",
  },
  {
    id: 'T92',
    promise: 'Boot cycle (P14): OpenBao sealed at boot: agent attests with existing certs, renewal later succeeds',
  },
  {
    id: 'T93',
    promise:
      'Registrar failure modes: 404 in verifier, 404 in registrar, both, 403, 409, 500, 502 HTML from nginx, hung socket: each distinct error text',
  },
  { id: 'T94', promise: 'Stdout hygiene (P35): nothing but the handshake on stdout; logs are hclog JSON on stderr' },
  {
    id: 'P01',
    promise: `"Secure Boot + boot loader + IMA hardening" is enforced nowhere though status says PASS, 'has_runtime_policy=1'`,
  },
  { id: 'P02', promise: 'Fork issues SVIDs to hosts never verified' },
  { id: 'P03', promise: 'Recovery freezes hosts at "PASS"' },
  { id: 'P04', promise: 'Auto-enrolment registers every host as auth' },
  { id: 'P05', promise: 'Power cut: all agents FAILED, then SPIRE, OpenBao, renewal' },
  { id: 'P06', promise: 'Two hosts one UUID; UUID changes later' },
  { id: 'P07', promise: '180 min on "remote error: unknown certificate authority"' },
  { id: 'P08', promise: 'Any host can administer Keylime' },
  { id: 'P09', promise: "A compromised host can fetch another host's identity" },
  { id: 'P10', promise: 'Agent cert expired, 12 h silent' },
  { id: 'P11', promise: 'TLS works in curl, fails in agent; 40 tests, "environmental"' },
  { id: 'P12', promise: 'InsecureSkipVerify in production until 02-12' },
  { id: 'P13', promise: 'Plugin keeps an expired client cert' },
  { id: 'P14', promise: 'Circular boot: renewal→OpenBao→SVID→Keylime→certs' },
  { id: 'P15', promise: 'Agents cannot re-attest after outage: stale trust bundle' },
  { id: 'P16', promise: 'Checksum drift, unknown provenance' },
  { id: 'P17', promise: 'PKCS#1/SEC1 vs PKCS#8, then key path changed and SPIRE agents died' },
  {
    id: 'P18',
    promise: `v2.2 vs v2.5, missing 'metadata', 'V:"2.5"' → base64 error, 'ak_tpm' vs 'aik_tpm', 'rsa' vs 'rsa2048', 409 on re-add`,
  },
  { id: 'P19', promise: '8 orphaned workload entries; all had to be recreated' },
  { id: 'P20', promise: 'SPIRE cannot read the key' },
  { id: 'P21', promise: 'Renewal undoes fixes' },
  { id: 'P22', promise: 'Agent → registrar over HTTP' },
  {
    id: 'P23',
    promise: 'GC misses most rubbish',
    deferred: "needs the operators' command-line tool (gc), which is no part of the plugins or of this bench",
  },
  {
    id: 'P24',
    promise: 'Health check lies',
    deferred: "needs the operators' command-line tool (doctor), which is no part of the plugins or of this bench",
  },
  { id: 'P25', promise: 'Failed host keeps its identity up to 1 h (agent SVID) + 1 h (workload SVID)' },
  {
    id: 'P26',
    promise: 'Kernel/GRUB update → delete + add by hand',
    deferred:
      "needs the operators' command-line tool (policy baseline and approve), which is no part of the plugins or of this bench",
  },
  {
    id: 'P27',
    promise: 'Long-lived admin tokens in files; SKIP_VERIFY; StrictHostKeyChecking=no; 11 root SSH flows',
    deferred: "is about the tokens and shell flows of the operators' renewal scripts, which the plugins never see",
  },
  { id: 'P28', promise: 'Docs disagree (ports, paths, fictional keys, 3 trust bundle names)' },
  {
    id: 'P29',
    promise: 'Keylime conf traps: list syntax, duplicate key, unknown keys, wrong file, contact_ip left at 127.0.0.1',
    deferred:
      "needs the operators' command-line tool (doctor conf), which is no part of the plugins or of this bench; the plugins check their own configuration only",
  },
  {
    id: 'P30',
    promise:
      "systemd: '/run/spire' vanishes, 'ProtectSystem=strict' vs secure mount, verifier 502 for 30 s, registrar not ready",
    deferred: 'is about unit files and tmpfiles of SPIRE and Keylime; packaging/systemd ships sandbox drop-ins only',
  },
  {
    id: 'P31',
    promise: 'DevID certs certify a throwaway OpenSSL key, not TPM key 0x81010002 (all three hosts)',
    deferred: "needs the operators' command-line tool (doctor devid), which is no part of the plugins or of this bench",
  },
  { id: 'P32', promise: '"DANGER: EK cert checking is disabled"' },
  {
    id: 'P33',
    promise:
      'verifier cert served for registrar name; SNI/vhost confusion behind 443; quote in the query string reaches nginx logs',
  },
  { id: 'P34', promise: 'No metrics; Pushover from shell' },
  {
    id: 'P35',
    promise: `'log.Fatal' on unreadable CA kills the plugin process; 'fmt.Println("HI!")' on stdout in a protocol that uses stdout`,
  },
]
