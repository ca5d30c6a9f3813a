import { notifier, type PluginOptions } from '@tower-of-omens/spire-sdk'

/**
 * Notifier: measures how many authorities the trust bundle has. SPIRE deprecates this type; what carries the bundle
 * somewhere should be a BundlePublisher.
 */
export const plugin: PluginOptions<undefined> = {
  name: 'bundle-metrics',
  type: 'Notifier',
  services: [
    notifier({
      async bundleUpdated({ trustDomain, x509Authorities, jwtAuthorities }, _config, { hosts }) {
        const metrics = await hosts.metrics()
        const labels = { trust_domain: trustDomain }
        await metrics.setGauge(['bundle', 'x509_authorities'], x509Authorities.length, labels)
        await metrics.setGauge(['bundle', 'jwt_authorities'], jwtAuthorities.length, labels)
      },
    }),
  ],
}
