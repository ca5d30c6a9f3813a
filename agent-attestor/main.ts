/** The executable keylime-attestor-agent. @module */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { AGENT_PLUGIN } from './plugin.ts'

void servePlugin(AGENT_PLUGIN)
