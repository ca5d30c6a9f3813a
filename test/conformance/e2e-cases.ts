/**
 * The conformance cases that need a whole SPIRE: C54 to C62. The tests of test/e2e play them and cite their ids.
 *
 * @module
 */
import type { ConformanceCase } from './conformance-case.ts'

/** Lists the cases in order of id. */
export const E2E_CASES: readonly ConformanceCase[] = [
  {
    id: 'C54',
    via: 'real SPIRE',
    case: 'attest, show agent, selectors, alias entry, workload fetches SVID',
    plugins: [],
    expected: ['all present'],
  },
  {
    id: 'C55',
    via: 'real SPIRE',
    case: 'JSON server.conf; plugin_data_file in HCL and JSON; SIGUSR1',
    plugins: [],
    expected: ['same config object; reconfigured'],
  },
  {
    id: 'C56',
    via: 'real SPIRE',
    case: 'refuse with PermissionDenied / Unavailable',
    plugins: [],
    expected: ['agent exits at once / retries ~1 min'],
  },
  {
    id: 'C57',
    via: 'real SPIRE',
    case: '"agent evict" while node healthy / failed',
    plugins: [],
    expected: ['re-attested in < 10 s / "Agent failed re-attestation; removing SVID and shutting down"'],
  },
  {
    id: 'C58',
    via: 'real SPIRE',
    case: '"agent ban", restart agent, "agent evict"',
    plugins: [],
    expected: ['"Agent is banned ..."; PermissionDenied; attests again'],
  },
  {
    id: 'C59',
    via: 'real SPIRE',
    case: 'agent_ttl 2m: renewals',
    plugins: [],
    expected: ['AidAttestation+Attest called about every 60 s'],
  },
  {
    id: 'C60',
    via: 'real SPIRE',
    case: 'kill -9 the plugin',
    plugins: [],
    expected: ['SPIRE stays up, attest = Unavailable with prefix'],
  },
  {
    id: 'C61',
    via: 'real SPIRE',
    case: 'SPIRE SIGTERM',
    plugins: [],
    expected: ['"Plugin deinitialized", "Plugin unloaded", no orphan, no error line'],
  },
  {
    id: 'C62',
    via: 'real SPIRE',
    case: 'payload of 3.9 MiB and 4.1 MiB',
    plugins: [],
    expected: ['ok / RESOURCE_EXHAUSTED at the agent'],
  },
]
