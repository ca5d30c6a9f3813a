/**
 * Envoy on a host: serves over mutual TLS with the SVID it gets from the SPIRE agent by SDS.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'

/** What Envoy shall be. */
export interface EnvoyOptions {
  readonly program: string
  readonly dir: string
  /** Workload API socket. */
  readonly socketPath: string
  readonly port: number
  readonly trustDomain: string
  /** Its own SPIFFE ID, and those that it accepts. */
  readonly ownId: string
  readonly peerIds: readonly string[]
}

/** Starts Envoy; it serves as soon as it has its SVID. */
export function startEnvoy(starter: ProcessStarter, options: EnvoyOptions): RigProcess {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const file = join(options.dir, 'envoy.json')
  writeFileSync(file, JSON.stringify(configuration(options), undefined, 2))
  // No shared memory and one worker: several may run beside each other.
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning']
  return starter.start({ name: 'envoy', command: options.program, args })
}

function configuration(options: EnvoyOptions): object {
  const sds = {
    resource_api_version: 'V3',
    api_config_source: {
      api_type: 'GRPC',
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'spire_agent' } }],
    },
  }
  const common = {
    tls_certificate_sds_secret_configs: [{ name: options.ownId, sds_config: sds }],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: options.peerIds.map((exact) => ({ san_type: 'URI', matcher: { exact } })),
      },
      validation_context_sds_secret_config: { name: `spiffe://${options.trustDomain}`, sds_config: sds },
    },
  }
  const tls = {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: common,
      require_client_certificate: true,
    },
  }
  return {
    node: { id: 'tower', cluster: 'tower' },
    static_resources: {
      listeners: [
        {
          address: { socket_address: { address: '0.0.0.0', port_value: options.port } },
          filter_chains: [{ transport_socket: tls, filters: [answerHello()] }],
        },
      ],
      clusters: [agentCluster(options.socketPath)],
    },
  }
}

function answerHello(): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'hello',
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
        },
      ],
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                direct_response: { status: 200, body: { inline_string: 'hello from envoy\n' } },
              },
            ],
          },
        ],
      },
    },
  }
}

function agentCluster(socketPath: string): object {
  return {
    name: 'spire_agent',
    type: 'STATIC',
    connect_timeout: '1s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: 'spire_agent',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: socketPath } } } }] }],
    },
  }
}
