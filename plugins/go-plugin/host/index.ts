/**
 * The other end of the plugin boundary: starts a plugin as its host would.
 *
 * @module
 */

export { type AttachedPlugin, attachPlugin } from './attached-plugin.ts'
export { type HostLogEntry, newHostLogParser } from './host-log.ts'
export {
  type ClientConstructor,
  type ExitStatus,
  type LaunchOptions,
  launchPlugin,
  type PluginProcess,
  PluginStartError,
} from './plugin-process.ts'
