/**
 * The executable `keylime-attestor-server`.
 *
 * @module
 */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { serverPlugin } from './plugin.ts'

// The build writes the version in; the sources have none.
void servePlugin({ ...serverPlugin(), version: process.env['PLUGIN_VERSION'] ?? 'unbuilt' })
