/**
 * The executable `keylime-attestor-server`.
 *
 * @module
 */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { serverPlugin } from './plugin.ts'

void servePlugin(serverPlugin())
