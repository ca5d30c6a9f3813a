/** The executable keylime-attestor-agent. @module */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { agentPlugin } from './plugin.ts'

// The build writes the version in; the sources have none.
void servePlugin({ ...agentPlugin(), version: process.env['PLUGIN_VERSION'] ?? 'unbuilt' })
