/**
 * The executable `keylime-attestor-server`.
 *
 * @module
 */
import { servePlugin } from '../plugins/sdk/serve.ts'
import { serverPlugin } from './plugin.ts'

void servePlugin(serverPlugin())
