/**
 * Drivers of the two plugin types that are told of the trust bundle, BundlePublisher and Notifier.
 *
 * @module
 */
import { BundlePublisherClient } from '../gen/spire/plugin/server/bundlepublisher/v1/bundlepublisher.ts'
import { NotifierClient } from '../gen/spire/plugin/server/notifier/v1/notifier.ts'
import { Bundle } from '../gen/spire/plugin/types/bundle.ts'
import { type DrivenPlugin, unary } from './driven-plugin.ts'

/**
 * Makes a bundle from what a test cares about.
 *
 * @param fields Any of a bundle's fields; the others are empty.
 * @returns A whole bundle of `example.org`, unless the fields say otherwise.
 */
export function testBundle(fields: Partial<Bundle> = {}): Bundle {
  return Bundle.create({ trustDomain: 'example.org', ...fields })
}

/** A BundlePublisher seen from SPIRE. */
export interface DrivenBundlePublisher {
  readonly publishBundle: (bundle: Bundle) => Promise<void>
}

/**
 * Drives a BundlePublisher.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its method, which rejects with the status of the plugin.
 */
export function driveBundlePublisher(plugin: DrivenPlugin): DrivenBundlePublisher {
  const client = plugin.client(BundlePublisherClient)
  return {
    publishBundle: async (bundle) => {
      await unary((done) => client.publishBundle({ bundle }, done))
    },
  }
}

/** A Notifier seen from SPIRE. */
export interface DrivenNotifier {
  readonly bundleLoaded: (bundle: Bundle) => Promise<void>
  readonly bundleUpdated: (bundle: Bundle) => Promise<void>
}

/**
 * Drives a Notifier.
 *
 * @param plugin A plugin that runs and is configured.
 * @returns Its methods, which reject with the status of the plugin.
 */
export function driveNotifier(plugin: DrivenPlugin): DrivenNotifier {
  const client = plugin.client(NotifierClient)
  return {
    bundleLoaded: async (bundle) => {
      const event = { $case: 'bundleLoaded', value: { bundle } } as const
      await unary((done) => client.notifyAndAdvise({ event }, done))
    },
    bundleUpdated: async (bundle) => {
      const event = { $case: 'bundleUpdated', value: { bundle } } as const
      await unary((done) => client.notify({ event }, done))
    },
  }
}
