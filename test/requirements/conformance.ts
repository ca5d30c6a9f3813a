/**
 * What hosts of go-plugin and SPIRE see of a plugin.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in order of alias. */
export const CONFORMANCE: readonly Requirement[] = [
  { id: 'go-plugin:cookie:absent', alias: 'C01', promise: 'no cookie -> stderr text, empty stdout, exit 1' },
  { id: 'go-plugin:cookie:wrong', alias: 'C02', promise: 'wrong cookie value -> same' },
  { id: 'go-plugin:version:unset', alias: 'C03', promise: 'PLUGIN_PROTOCOL_VERSIONS unset -> line says version 1' },
  {
    id: 'go-plugin:version:unsupported',
    alias: 'C04',
    promise:
      "versions '2' -> line says 1; host: 'incompatible API version with plugin. Plugin version: 1, Client versions: [2]'",
  },
  {
    id: 'go-plugin:version:garbage',
    alias: 'C05',
    promise: "versions 'x,1' / '1,2' -> 1 chosen, garbage reported on stderr",
  },
  {
    id: 'go-plugin:handshake:byte-exact-line',
    alias: 'C06',
    promise: "byte-exact line without TLS -> '1|1|unix|<path>|grpc|' LF, nothing else ever on stdout",
  },
  {
    id: 'go-plugin:handshake:dial-at-once',
    alias: 'C07',
    promise: 'dial in the same millisecond as the line -> first RPC succeeds, 100 runs',
  },
  {
    id: 'go-plugin:start:within-host-timeout',
    alias: 'C08',
    promise: 'StartTimeout 2 s on a loaded 2-core machine -> starts',
  },
  {
    id: 'go-plugin:socket:folder-and-removal',
    alias: 'C09',
    promise: 'TMPDIR and PLUGIN_UNIX_SOCKET_DIR set -> socket there; removed after exit',
  },
  {
    id: 'go-plugin:socket:group',
    alias: 'C10',
    promise: 'PLUGIN_UNIX_SOCKET_GROUP=<gid> and =<name> -> mode 0660, group set; unknown group -> JSON error, exit',
  },
  {
    id: 'go-plugin:socket:path-too-long',
    alias: 'C11',
    promise: 'TMPDIR of 120 chars -> JSON error on stderr, non-zero exit, host says plugin exited / no lines',
  },
  {
    id: 'go-plugin:multiplexing:asked-for',
    alias: 'C12',
    promise:
      'PLUGIN_MULTIPLEX_GRPC=true -> either full mux (Ping, both-way broker, stream) or 7th field false -> ErrGRPCBrokerMuxNotSupported',
  },
  { id: 'go-plugin:multiplexing:not-asked-for', alias: 'C13', promise: 'mux unset -> exactly 6 fields' },
  {
    id: 'go-plugin:auto-mtls:peers',
    alias: 'C14',
    promise: 'AutoMTLS -> field 6 unpadded base64, Ping ok; plaintext client and other cert refused',
  },
  {
    id: 'go-plugin:auto-mtls:broker',
    alias: 'C15',
    promise: 'AutoMTLS + AcceptAndServe on the host, plugin dials -> call ok; and reverse',
  },
  {
    id: 'go-plugin:host:oldest-release',
    alias: 'C16',
    promise: 'old host (go-plugin 1.0.1) -> loads, Ping, broker, Kill < 2 s',
  },
  {
    id: 'go-plugin:health:answers',
    alias: 'C17',
    promise: 'health Check plugin / "" / nope; Watch -> SERVING / SERVING / NOT_FOUND; stream with SERVING',
  },
  {
    id: 'go-plugin:reflection:lists-services',
    alias: 'C18',
    promise:
      'reflection ListServices v1, v1alpha -> includes health, reflection x2, plugin.GRPC{Broker,Controller,Stdio}, own services',
  },
  {
    id: 'go-plugin:stdio:bytes-in-order',
    alias: 'C19',
    promise: 'SyncStdout set, plugin prints to console -> bytes arrive on channel 1/2 in order; not on fd 1',
  },
  {
    id: 'go-plugin:stdio:nobody-reads',
    alias: 'C20',
    promise: 'nobody reads StreamStdio, plugin prints 50 MiB -> bounded memory, RPCs still served',
  },
  {
    id: 'go-plugin:log:levels-and-fields',
    alias: 'C21',
    promise: 'log lines all levels, nested values, unicode, newline in message -> host shows level, message, fields',
  },
  {
    id: 'go-plugin:log:reserved-fields',
    alias: 'C22',
    promise: "'@message' given a number/object by user code -> string on the wire, host alive",
  },
  {
    id: 'go-plugin:log:long-message',
    alias: 'C23',
    promise: '200 KiB log message -> truncated below 64 KiB, level kept',
  },
  { id: 'go-plugin:log:timestamp', alias: 'C24', promise: 'timestamp format -> parses (6 digits)' },
  {
    id: 'go-plugin:faults:uncaught-error',
    alias: 'C25',
    promise:
      'uncaught exception in a handler / unhandled rejection -> that RPC fails with a status, JSON error logged, process lives (or exits 1 with the log flushed)',
  },
  {
    id: 'go-plugin:broker:both-ways',
    alias: 'C26',
    promise: 'bidirectional Counter example -> result correct through brokered host server',
  },
  {
    id: 'go-plugin:broker:late-dial',
    alias: 'C27',
    promise: 'ConnInfo dialed 10 s after arrival -> works (Go would time out) ; never arriving -> error after 5 s',
  },
  {
    id: 'go-plugin:broker:parallel-ids',
    alias: 'C28',
    promise: 'two broker ids, 20 in parallel -> each reaches the right server',
  },
  {
    id: 'go-plugin:stop:idle',
    alias: 'C29',
    promise: 'Kill during an idle plugin -> exit 0 in < 2 s, socket gone, not force-killed',
  },
  {
    id: 'go-plugin:stop:busy',
    alias: 'C30',
    promise: 'Kill during 50 open streams and a child process -> same; no inherited fd keeps the host waiting',
  },
  {
    id: 'go-plugin:signals:ignored',
    alias: 'C31',
    promise: 'SIGINT x3, SIGUSR1, SIGUSR2 to the plugin -> still serving; no inspector port',
  },
  {
    id: 'go-plugin:signals:sigterm-grace',
    alias: 'C32',
    promise:
      'SIGTERM then Shutdown within grace -> answers Deinit/Shutdown, exit 0; without Shutdown exits after grace',
  },
  { id: 'go-plugin:host:killed', alias: 'C33', promise: 'SIGKILL the host (no Pdeathsig) -> plugin gone within 2 s' },
  { id: 'go-plugin:host:stdin-closed', alias: 'C34', promise: 'host stdin closed / null -> keeps serving' },
  { id: 'go-plugin:host:stderr-gone', alias: 'C35', promise: 'stderr reader gone (EPIPE) -> no crash' },
  {
    id: 'go-plugin:reattach:two-clients',
    alias: 'C36',
    promise: 'reattach: probe connection, then 2 clients -> both served',
  },
  {
    id: 'go-plugin:connection:redialled',
    alias: 'C37',
    promise: 'host connection dropped and re-dialed -> new connection served',
  },
  {
    id: 'go-plugin:load:big-messages-many-streams',
    alias: 'C38',
    promise: '16 MiB unary both ways; 1000 concurrent streams -> ok',
  },
  {
    id: 'go-plugin:calls:cancelled',
    alias: 'C39',
    promise: 'deadline exceeded / client cancel mid-handler -> AbortSignal fires, handler stops, no late write error',
  },
  {
    id: 'spire:load:service-chain',
    alias: 'C40',
    promise: `load successful -> 'hostService(test(plugin(howdy)))', 'hostService(test(service(howdy)))', INFO "CLOSED" at unload`,
  },
  {
    id: 'spire:load:checksum',
    alias: 'C41',
    promise:
      "checksum good / none / 'NOT_A_CHECKSUM' / 'DEADBEEF' / 64 zeros -> ok / ok+Warn / 'checksum is not a valid hex string' / 'expected checksum of length 64; got 8' / 'failed to launch plugin: checksums did not match'",
  },
  {
    id: 'spire:load:wrong-plugin',
    alias: 'C42',
    promise: `mode bad (other cookie) -> 'Unrecognized remote plugin message: ' + "Failed to read any lines from plugin's stdout" + "This usually means"`,
  },
  {
    id: 'spire:configure:good-and-bad',
    alias: 'C43',
    promise: `configure GOOD / BAD -> ok / 'failed to configure plugin "test": rpc error: code = InvalidArgument desc = bad config'`,
  },
  {
    id: 'spire:configure:not-announced',
    alias: 'C44',
    promise: "data given, Config not announced -> 'no supported configuration interface found'",
  },
  {
    id: 'spire:configure:reconfigured',
    alias: 'C45',
    promise:
      'file data, Reconfigure after change / no change -> log CONFIGURED GOOD1, GOOD2 / "not reconfigured since the config is unchanged"',
  },
  {
    id: 'spire:load:refused-types',
    alias: 'C46',
    promise: `plugin disabled; unknown type; wrong announced service -> not started; 'unsupported plugin type "Quz"'; 'no supported plugin interface found in: [...]'`,
  },
  {
    id: 'spire:load:missing-host-service',
    alias: 'C47',
    promise: "plugin needs a host service the host lacks -> Init error is shown in 'failed to load plugin'",
  },
  {
    id: 'spire:configure:during-attestation',
    alias: 'C48',
    promise: 'Configure concurrent with 100 Attest -> no mix of old and new config in one attestation',
  },
  {
    id: 'spire:server-attestor:results',
    alias: 'C49',
    promise: 'server facade: no challenge / three challenges / selectors / can_reattest -> result fields equal',
  },
  {
    id: 'spire:server-attestor:errors',
    alias: 'C50',
    promise:
      'server facade errors: ends early, throws plain error, status error, empty ID, neither oneof -> Internal "nodeattestor(test): plugin closed stream unexpectedly"; Unknown "nodeattestor(test): ohno"; code kept; "... missing agent ID"; "... missing challenge or agent attributes"',
  },
  {
    id: 'spire:server-attestor:fails-at-once',
    alias: 'C51',
    promise:
      'server facade: fail at once ("not configured") -> FAILED_PRECONDITION arrives 1000/1000 times (read-before-fail rule)',
  },
  {
    id: 'spire:agent-attestor:cases',
    alias: 'C52',
    promise: 'agent facade: the 11 cases of v1_test.go -> messages as listed in 2.6',
  },
  {
    id: 'spire:validate:notes',
    alias: 'C53',
    promise:
      "Validate: valid, invalid, unknown key, empty -> notes empty / notes / notes / notes; 'spire-server validate' (>= 1.14) exit 0 only for the first",
  },
  {
    id: 'spire:attest:end-to-end',
    alias: 'C54',
    promise: 'attest, show agent, selectors, alias entry, workload fetches SVID -> all present',
  },
  {
    id: 'spire:configure:json-and-files',
    alias: 'C55',
    promise: 'JSON server.conf; plugin_data_file in HCL and JSON; SIGUSR1 -> same config object; reconfigured',
  },
  {
    id: 'spire:agent:status-consequences',
    alias: 'C56',
    promise: 'refuse with PermissionDenied / Unavailable -> agent exits at once / retries ~1 min',
  },
  {
    id: 'spire:agent:evicted',
    alias: 'C57',
    promise: `'agent evict' while node healthy / failed -> re-attested in < 10 s / "Agent failed re-attestation; removing SVID and shutting down"`,
  },
  {
    id: 'spire:agent:banned',
    alias: 'C58',
    promise: `'agent ban', restart agent, 'agent evict' -> "Agent is banned ..."; PermissionDenied; attests again`,
  },
  {
    id: 'spire:agent:renewal',
    alias: 'C59',
    promise: 'agent_ttl 2m: renewals -> AidAttestation+Attest called about every 60 s',
  },
  {
    id: 'spire:plugin:killed',
    alias: 'C60',
    promise: 'kill -9 the plugin -> SPIRE stays up, attest = Unavailable with prefix',
  },
  {
    id: 'spire:stop:clean',
    alias: 'C61',
    promise: 'SPIRE SIGTERM -> "Plugin deinitialized", "Plugin unloaded", no orphan, no error line',
  },
  {
    id: 'spire:attest:payload-size',
    alias: 'C62',
    promise: 'payload of 3.9 MiB and 4.1 MiB -> ok / RESOURCE_EXHAUSTED at the agent',
  },
]
