/**
 * Cases beyond the 62: every other plugin type behind SPIRE's own facade for it, TCP, and many loads.
 *
 * @module
 */
import type { ConformanceCase } from './conformance-case.ts'

/** Lists the cases in order of id. */
export const MORE_CASES: readonly ConformanceCase[] = [
  {
    id: 'M01',
    via: 'SPIRE catalog',
    case: 'server KeyManager: generate EC and RSA keys, sign a digest, list, ask for an absent key',
    plugins: ['every-type'],
    expected: [
      'ec: signature valid true',
      'rsa: signature valid true',
      '2 keys, OK',
      'NotFound: keymanager(test): key "absent" not found',
    ],
  },
  {
    id: 'M02',
    via: 'SPIRE catalog',
    case: 'agent KeyManager: generate, sign, ask for an absent key',
    plugins: ['every-type'],
    expected: ['ec: signature valid true', 'NotFound: keymanager(test): key "absent" not found'],
  },
  {
    id: 'M03',
    via: 'SPIRE catalog',
    case: 'UpstreamAuthority: mint, follow the roots, publish a JWT key, unsupported subscription',
    plugins: ['every-type'],
    expected: [
      'minted: chain 1, roots 1, OK',
      'update: roots 2, the last tainted true, OK',
      'published 1, OK',
      'local bundle: Unimplemented: upstreamauthority(test): following the local bundle is not supported',
    ],
  },
  {
    id: 'M04',
    via: 'SPIRE catalog',
    case: 'Notifier: both events, with calls to Metrics, AgentStore and IdentityProvider of the host',
    plugins: ['every-type'],
    expected: [
      'gauge [authorities] = 2, td=example.org',
      'loaded with 2: OK',
      'loaded with 0: FailedPrecondition: notifier(test): no authority of example.org',
      'updated: Aborted: notifier(test): known true, unknown false, chain 2, bundle of example.org',
    ],
  },
  {
    id: 'M05',
    via: 'SPIRE catalog',
    case: 'BundlePublisher: publish a bundle',
    plugins: ['every-type'],
    expected: ['Aborted: bundlepublisher(test): example.org 7 60'],
  },
  {
    id: 'M06',
    via: 'SPIRE catalog',
    case: 'CredentialComposer: change, keep and refuse attributes; claims of a token',
    plugins: ['every-type'],
    expected: [
      'CA: policies [1.2.3.4], OK',
      'server: [kept], OK',
      'agent: [node-1], OK',
      'workload: PermissionDenied: credentialcomposer(test): this workload gets no certificate',
      'token: map[exp:1.7e+09 list:[1 two <nil>] sub:spiffe://example.org/spire/agent/x/node-1 tower:spiffe://example.org/spire/agent/x/node-1], OK',
    ],
  },
  {
    id: 'M07',
    via: 'SPIRE catalog',
    case: 'WorkloadAttestor: describe a process',
    plugins: ['every-type'],
    expected: ['test:pid:4711', 'test:kind:test', 'OK'],
  },
  {
    id: 'M08',
    via: 'SPIRE catalog',
    case: 'SVIDStore: put, delete, delete what is absent',
    plugins: ['every-type'],
    expected: [
      'before: NotFound: svidstore(test): nothing is stored under name:a,region:b',
      'put: OK',
      'after: Aborted: svidstore(test): stored was spiffe://example.org/workload 1 other.org',
    ],
  },
  {
    id: 'M09',
    via: 'go-plugin',
    case: 'TCP instead of a Unix socket, in the port range the host gives; a range upside down',
    plugins: ['example'],
    expected: [
      'tcp: true, on the loopback and within the range: true',
      'ping OK',
      'plugin calls host: 42, OK',
      'host calls plugin: pong, OK',
      'range upside down: exit 1, stdout "", JSON errors 1',
    ],
  },
  {
    id: 'M10',
    via: 'go-plugin',
    case: '100 loads in a row while two processes use every moment of two processors',
    plugins: ['server'],
    expected: ['first call succeeds in all loads: true, nine of ten within 1 s: true'],
  },
  {
    id: 'M11',
    via: 'go-plugin',
    case: 'kill -9 of the plugin',
    plugins: ['server', 'agent', 'example'],
    expected: [
      'host notices: true',
      'calls are refused as unavailable: true',
      'Kill returns at once: true, exit logged as: error',
    ],
  },
  {
    id: 'M12',
    via: 'go-plugin',
    case: "hashicorp's negotiated example: versions of the plugin's own protocol",
    plugins: ['example'],
    expected: [
      'plugin of 1,3,4, put: "", OK',
      'plugin of 1,3,4, get: "negotiated", OK',
      'plugin of 1,2, put: "Error: incompatible API version with plugin. Plugin version: 1, Client versions: [3]", exit status 1',
      'plugin of 1,2, get: "Error: incompatible API version with plugin. Plugin version: 1, Client versions: [3]", exit status 1',
    ],
  },
]
