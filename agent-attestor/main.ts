/** The executable keylime-attestor-agent. @module */
import { servePlugin } from '../plugins/sdk/index.ts'
import { AGENT_PLUGIN } from './plugin.ts'

void servePlugin(AGENT_PLUGIN)
