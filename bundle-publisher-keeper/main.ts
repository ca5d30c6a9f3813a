/**
 * The executable `bundle-publisher-keeper`.
 *
 * @module
 */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { KEEPER_PLUGIN } from './plugin.ts'

// The build writes the version in; the sources have none.
void servePlugin({ ...KEEPER_PLUGIN, version: process.env['PLUGIN_VERSION'] ?? 'unbuilt' })
