/**
 * What the first operator was promised.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in order of alias. */
export const ACCEPTANCE: readonly Requirement[] = [
  {
    id: 'attest:server-half:loaded-by-spire',
    alias: 'T01',
    promise:
      'Server plugin is a SPIRE NodeAttestor: real spire-server starts with our plugin_cmd + plugin_checksum in HCL; log "Plugin loaded … external=true plugin_type=NodeAttestor"',
  },
  {
    id: 'attest:agent-half:loaded-by-spire',
    alias: 'T02',
    promise: 'Agent plugin likewise: real spire-agent attests; log shows SPIFFE ID',
  },
  {
    id: 'attest:workload:identity-after-attestation',
    alias: 'T03',
    promise: `"All hosts attest before receiving workload identities": before enrolment 'api fetch x509' fails on all three; after, succeeds`,
  },
  {
    id: 'attest:spiffe-id:same-as-go-pair',
    alias: 'T04',
    promise: "Plugins named 'keylime': SPIFFE ID path '/spire/agent/keylime/<uuid>' byte-identical to the Go plugin's",
  },
  {
    id: 'attest:trust-domain:passed-through',
    alias: 'T05',
    promise: 'Trust domain of the fleet: core config passed through; wrong/missing trust domain → InvalidArgument',
  },
  {
    id: 'attest:halves:mix-with-go-pair',
    alias: 'T06',
    promise: 'Interop with the existing fleet: Go agent half + our server half, and the reverse, both attest',
  },
  {
    id: 'tower:agents:all-keylime',
    alias: 'T07',
    promise: "Three agents, all Keylime: 'agent list' = 3, type keylime",
  },
  {
    id: 'attest:agent-id:forms',
    alias: 'T08',
    promise:
      'UUIDs: default on auth, hash_ek on ca and spire: both forms accepted when the default UUID is explicitly allowed; refused by default (P06)',
  },
  {
    id: 'tower:server-node:attests-itself',
    alias: 'T09',
    promise: 'spire host self-attests: server and agent halves in one namespace',
  },
  {
    id: 'tls:chain:rsa-root-ec-leaf',
    alias: 'T10',
    promise: 'Root 100 y RSA 4096 → intermediate RSA 4096: chain of that shape accepted, leaves EC P-256 and RSA 2048',
  },
  {
    id: 'tls:proxy:direct-and-through',
    alias: 'T11',
    promise:
      'Verifier 8881 TLS, registrar 8891 TLS: plugin works direct and through a 443 reverse proxy with client-cert verification',
  },
  {
    id: 'pki:openbao:issues',
    alias: 'T12',
    promise: "OpenBao PKI issuing: 'renew' obtains a cert from 'pki_int/issue/keylime-services' over HTTP",
  },
  {
    id: 'tpm:ek:chains-to-maker',
    alias: 'T13',
    promise:
      "Hardware TPM on all (software TPM): EK certificate of each agent verifies to a configured CA; unknown CA refused when 'ek_ca_path' set",
  },
  {
    id: 'tpm:ak:another-tpm-refused',
    alias: 'T14',
    promise:
      "AK in TPM, quotes signed by AK: quote signed by another swtpm's AK → refused; AK from registrar equals AK used",
  },
  {
    id: 'tpm:ek:agent-id-is-its-hash',
    alias: 'T15',
    promise: "EK verification: UUID = hash(EK) enforced with 'require_ek_uuid'",
  },
  {
    id: 'keylime:attestation:continuous',
    alias: 'T16',
    promise:
      "Continuous attestation every 2 s: 'attestation_count' grows ≥25 in 60 s on each host while plugin traffic runs",
  },
  {
    id: 'tamper:pcr:refused',
    alias: 'T17',
    promise: 'Tamper detection: extend PCR 7 after baseline → state 9 within 10 s → next SPIRE attest refused',
  },
  {
    id: 'tamper:boot-log:refused',
    alias: 'T18',
    promise:
      'Boot integrity measurement: altered event log → refused with a measured-boot policy; and mask-only policy reported "checks nothing" (P01)',
  },
  {
    id: 'tamper:ima-list:refused',
    alias: 'T19',
    promise: 'Runtime integrity: unlisted file through the IMA emulator → fail → refused',
  },
  {
    id: 'tls:keylime-agent:client-required',
    alias: 'T20',
    promise: 'Agent ↔ verifier mTLS: verifier without client cert gets 401/handshake error from :9002',
  },
  {
    id: 'tls:registrar:agents-register-over-tls',
    alias: 'T21',
    promise:
      'Agent ↔ registrar mTLS : stock agent registers over HTTP: detected and reported; with our forwarder packet capture shows TLS only',
  },
  {
    id: 'tls:keylime-agent:both-ways',
    alias: 'T22',
    promise:
      'Plugin ↔ agent mTLS: capture on loopback: TLS 1.2+; client cert presented; agent with wrong CA refused; hostname checked against SAN IP',
  },
  {
    id: 'tls:key:forms',
    alias: 'T23',
    promise:
      'EC P-256 and RSA 2048 keys: SEC1, PKCS#1, PKCS#8 each load; encrypted key → clear error; key/cert mismatch → clear error',
  },
  {
    id: 'tls:rotation:under-load',
    alias: 'T24',
    promise: '7-day TTL, frequent rotation: renew under load 20×: zero failed attestations, no restart of SPIRE',
  },
  {
    id: 'tls:name:mismatch-named',
    alias: 'T25',
    promise: 'SANs proper: SAN mismatch → refused, message names expected and presented names',
  },
  {
    id: 'tls:capture:no-plaintext',
    alias: 'T26',
    promise:
      'Encrypted, mutual, cert-based control, no plaintext: whole-bench capture: zero plaintext HTTP bodies among Keylime/SPIRE flows (registrar per T21)',
  },
  {
    id: 'config:agent:use-tls',
    alias: 'T27',
    promise: "'keylime_agent_use_tls': true/false behave as in the fork; false logs a warning",
  },
  {
    id: 'config:agent:ca-cert-forms',
    alias: 'T28',
    promise:
      "'keylime_agent_ca_cert': root only, chain, intermediate only, several roots: all work (Node partial-chain trap, P11)",
  },
  {
    id: 'config:agent:client-pair',
    alias: 'T29',
    promise:
      "'keylime_agent_client_cert' / '_key': both or neither; missing/unreadable file → Configure error naming path, user and mode",
  },
  {
    id: 'config:agent:http-as-upstream',
    alias: 'T30',
    promise: "HTTPS added to upstream's keys: upstream's HTTP-only configuration still works unchanged",
  },
  {
    id: 'story:node:boot-to-workload',
    alias: 'T31',
    promise:
      'Boot measured → registers → continuous → SVID → workload: one scripted run shows the five steps in order with timestamps',
  },
  {
    id: 'gate:states:matrix',
    alias: 'T32',
    promise: `"Only attested agents receive SVIDs": matrix over states 0–10 and 404: SVID only for state 3 or 5 with 'attestation_count' ≥ 1 and a fresh timestamp; 1, 4, 6 pending; 7, 9, 10 denied; 404 FailedPrecondition`,
  },
  {
    id: 'story:chain:each-link-broken',
    alias: 'T33',
    promise: 'Trust chain TPM → Keylime → SPIRE → workload: break each link in turn; identity stops at that link',
  },
  {
    id: 'operator:status:table',
    alias: 'T34',
    promise: "Service health table: 'status --all' reproduces the table; kill one agent → row changes, exit 2",
  },
  {
    id: 'attest:agent:can-reattest',
    alias: 'T35',
    promise: `Can re-attest = Yes: 'agent list' "Can re-attest: true"; evict → same ID returns without manual steps`,
  },
  {
    id: 'attest:renewal:asks-keylime',
    alias: 'T36',
    promise: 'SVID renewal re-checks Keylime: fail host in Keylime; within agent TTL its agent SVID is not renewed',
  },
  {
    id: 'operator:status:freshness',
    alias: 'T37',
    promise: "Keylime table PASS, 100+: 'status' shows count and freshness",
  },
  {
    id: 'migrate:keylime:http-to-https',
    alias: 'T38',
    promise:
      "HTTP agents initially, then HTTPS: live migration: flip 'use_tls' and restart, same SPIFFE ID, entries keep working",
  },
  {
    id: 'operator:enroll:distinct-roles',
    alias: 'T39',
    promise: "PKI roles for use cases: 'onboard' uses distinct server and client roles",
  },
  {
    id: 'operator:renew:unattended',
    alias: 'T40',
    promise: "Automated issuance: 'renew --all' unattended 3 cycles with 5-minute certs",
  },
  {
    id: 'tower:nodes:one-artefact',
    alias: 'T41',
    promise: 'Deployed to all hosts: one artefact, same checksum, three namespaces',
  },
  {
    id: 'release:community:licence-and-manifest',
    alias: 'T42',
    promise:
      'Published for the community: licence, README, config reference generated from schema, release manifest with checksums',
  },
  {
    id: 'docs:quick-start:followed-literally',
    alias: 'T43',
    promise:
      '"No prior documentation for HTTPS Keylime attestation": quick start followed literally by a script reaches first SVID',
  },
  {
    id: 'tower:agents:no-join-token',
    alias: 'T44',
    promise: "join_token eliminated: server.conf with only our NodeAttestor; 'agent list' shows none other",
  },
  {
    id: 'attest:depth:certificate-and-tpm',
    alias: 'T45',
    promise:
      'Defence in depth TPM + mTLS: valid client cert without TPM proof → refused; TPM proof without client cert → refused',
  },
  {
    id: 'release:build:reproducible',
    alias: 'T46',
    promise: 'Reproducible deployments: clean build twice = same sha256',
  },
  {
    id: 'operator:enroll:emitted-files',
    alias: 'T47',
    promise: "Version-controlled configs: 'onboard --emit' writes text files only, stable diff, no secrets",
  },
  {
    id: 'operator:status:four-numbers',
    alias: 'T48',
    promise:
      "100 % TPM, 0 % join_token, 100 % mTLS, 0 % HTTP: 'status --output json' exposes these four numbers, computed",
  },
  {
    id: 'endurance:soak:flat',
    alias: 'T49',
    promise: 'All services active, no failed attestations: 30-minute soak: 0 failures, flat memory, no fd growth',
  },
  {
    id: 'docs:codes:each-explained',
    alias: 'T50',
    promise:
      'Troubleshooting runbooks: every gRPC error carries a code found in the runbook; test asserts none missing',
  },
  {
    id: 'docs:certificates:procedures',
    alias: 'T51',
    promise: 'Certificate management procedures: covered by T12, T24, T40',
  },
  {
    id: 'attest:workload:x509-and-jwt',
    alias: 'T52',
    promise: 'Issue SPIFFE identities to workloads: X.509 and JWT SVIDs for a unix:uid workload on each host',
  },
  {
    id: 'story:mesh:mtls-until-revoked',
    alias: 'T53',
    promise: 'Automatic mTLS between services: two workloads talk mTLS with fetched SVIDs; stops after revoke',
  },
  {
    id: 'selectors:entry:matches-one-node',
    alias: 'T54',
    promise: "Fine-grained access control: entry with selector 'keylime:…' matches only the intended host",
  },
  {
    id: 'tamper:story:workload-denied',
    alias: 'T55',
    promise: 'Verify host integrity before access: T17–T19 in one scenario ending in denied workload SVID',
  },
  {
    id: 'operator:watch:evicts',
    alias: 'T56',
    promise: "Detect compromised systems: 'watch' evicts ≤5 s after Keylime failure",
  },
  {
    id: 'operator:watch:metrics',
    alias: 'T57',
    promise: 'Continuous security monitoring: Prometheus scrape shows state, age, count, cert life per host',
  },
  {
    id: 'story:credentials:short-lived',
    alias: 'T58',
    promise: 'Short-lived credentials: 60 s agent TTL runs 30 min without gap',
  },
  {
    id: 'pki:chain:one-intermediate',
    alias: 'T59',
    promise: "Centralised PKI: all leaves on the bench chain to one intermediate; 'doctor certs' lists them",
  },
  {
    id: 'gate:verifier-down:fails-closed',
    alias: 'T60',
    promise:
      'Never trust, always verify: verifier down → no new SVID (Unavailable), existing until TTL; never fail-open',
  },
  {
    id: 'tpm:clone:refused',
    alias: 'T61',
    promise: 'Hardware-backed trust (software TPM): clone host disk to 4th namespace with another swtpm → refused',
  },
  {
    id: 'tpm:quote:replay-refused',
    alias: 'T62',
    promise: 'Cryptographic proof: replayed quote with old nonce → refused',
  },
  {
    id: 'operator:renew:timer',
    alias: 'T63',
    promise: 'NEXT immediate: automated renewal: = T24+T40 with systemd timer units supplied',
  },
  {
    id: 'operator:doctor:expiring-certificate',
    alias: 'T64',
    promise: "Monitor expiration: thresholds by life share; expired cert → 'doctor' exit 2 and metric",
  },
  {
    id: 'docs:runbooks:the-five',
    alias: 'T65',
    promise:
      'Operational runbooks: the five the operator lists: attestation failure, new host, renewal, SPIRE agent recovery, disaster recovery',
  },
  {
    id: 'operator:enroll:fourth-node',
    alias: 'T66',
    promise:
      "SHORT: add hosts: a fourth host joins by one command of the tower, and by the runbook's three of towerkeep; how long each takes is printed, not asserted",
  },
  {
    id: 'attest:workload:named-services',
    alias: 'T67',
    promise: 'Deploy workloads: = T52 for openbao, step-ca, test-workload entries',
  },
  {
    id: 'story:mesh:envoy',
    alias: 'T68',
    promise: 'Service mesh Istio/Envoy: Envoy (if its binary can be had) gets SVIDs by SDS from an agent we attested',
  },
  {
    id: 'judge:go-pair:differences',
    alias: 'T69',
    promise: 'LONG: contribute upstream: compat suite runs against the Go plugins too and reports differences',
    deferred: 'the conformance host drives our plugins; pointing it at the Go pair is left until upstream asks for it',
  },
  {
    id: 'operator:devid:key-not-in-tpm',
    alias: 'T70',
    promise: "DevID rotation: 'doctor devid' catches a cert whose key is not the TPM's",
  },
  {
    id: 'operator:policy:measured-boot',
    alias: 'T71',
    promise: "Measured boot policies: T18 through 'policy baseline/approve'",
  },
  { id: 'operator:policy:runtime', alias: 'T72', promise: "IMA: T19 through 'policy' with package update cycle" },
  {
    id: 'faults:chaos:named-errors',
    alias: 'T73',
    promise:
      'Production-ready: T49 + kill -9 of plugin, verifier restart, registrar loss, clock skew ±5 min, full disk: each ends in a named error and recovery',
  },
  { id: 'attest:custom-plugin:https', alias: 'T74', promise: 'Custom plugin with HTTPS: T22' },
  {
    id: 'docs:links-and-keys:complete',
    alias: 'T75',
    promise: 'Complete documentation: link check; every config key documented',
  },
  {
    id: 'operator:recover:after-reboot',
    alias: 'T76',
    promise:
      "Reboot survival (P05): boot later than the retry budget; 'recover' or 'watch' restores in ≤30 s; no sqlite touched",
  },
  {
    id: 'gate:state:frozen',
    alias: 'T77',
    promise: "Frozen state 3 (P03): write state 3 behind the verifier's back; plugin refuses on age; 'status' CRITICAL",
  },
  {
    id: 'gate:state:start-is-no-trust',
    alias: 'T78',
    promise: 'START is not trust (P02): agent added but unreachable: refused',
  },
  {
    id: 'gate:policy:strength',
    alias: 'T79',
    promise: `Policy strength (P01): '{"mask":"0x90"}' → refused in strict mode, selector 'keylime:policy:none' otherwise`,
  },
  {
    id: 'config:keys:unknown',
    alias: 'T80',
    promise:
      "Unknown config key (P07): Configure returns InvalidArgument with suggestion, Validate a note; 'spire-server validate' (≥ 1.14) shows it",
  },
  {
    id: 'tls:client-pair:replaced-while-running',
    alias: 'T81',
    promise: 'Cert reload (P13): replace client cert under a running plugin, expire the old: next attest works',
  },
  {
    id: 'keylime:api:versions',
    alias: 'T82',
    promise: 'API negotiation (P18): mock and real 2.2, 2.5, 2.6 (and newest) endpoints',
  },
  {
    id: 'operator:entries:agent-id-churn',
    alias: 'T83',
    promise: `UUID churn (P06): 'uuid="auto"' restart → 'doctor' names it; 'entries reparent' repairs`,
  },
  {
    id: 'attest:agent-id:default-twice',
    alias: 'T84',
    promise: 'Default UUID twice (P06): second host refused with a message naming both hosts',
  },
  {
    id: 'operator:gc:four-way',
    alias: 'T85',
    promise: 'GC four-way (P23): 12 seeded kinds of rubbish: exact report, nothing healthy deleted',
  },
  {
    id: 'config:policy:reload',
    alias: 'T86',
    promise:
      "Reload policy without restart (P16): edit 'plugin_data_file', SIGUSR1, new policy in force, same PID and checksum",
  },
  { id: 'operator:pin:checksum', alias: 'T87', promise: "Checksum mismatch: server start fails; 'pin' prints the fix" },
  {
    id: 'operator:doctor:administrator-certificate',
    alias: 'T88',
    promise:
      "Admin cert (P08): agent cert with clientAuth trusted by verifier → 'doctor' CRITICAL with a live proof that it could delete an agent (dry run by GET)",
  },
  {
    id: 'relay:other-node:refused',
    alias: 'T89',
    promise: "Cross-host relay (P09): 'ca' points its plugin at auth's :9002: refused with the recommended set-up",
  },
  {
    id: 'spire:bundle:rotated-while-off',
    alias: 'T90',
    promise: "Trust bundle (P15): server CA rotated while agent is off: returns by 'rebootstrap_mode=auto'",
  },
  {
    id: 'operator:doctor:file-permissions',
    alias: 'T91',
    promise: "Permissions (P20): 'doctor --as-user spire' catches keylime:tss 640",
  },
  {
    id: 'story:boot:openbao-sealed',
    alias: 'T92',
    promise: 'Boot cycle (P14): OpenBao sealed at boot: agent attests with existing certs, renewal later succeeds',
  },
  {
    id: 'faults:registrar:each-distinct',
    alias: 'T93',
    promise:
      'Registrar failure modes: 404 in verifier, 404 in registrar, both, 403, 409, 500, 502 HTML from nginx, hung socket: each distinct error text',
  },
  {
    id: 'go-plugin:stdout:handshake-alone',
    alias: 'T94',
    promise: 'Stdout hygiene (P35): nothing but the handshake on stdout; logs are hclog JSON on stderr',
  },
]
