/**
 * A provider for OpenTofu: pages, each a file of a folder; it breaks in some ways when a page's text asks for it.
 *
 * @module
 */
import { serveGoPlugin } from '../../../plugins/go-plugin/index.ts'
import { PROVIDER } from './provider.ts'

void serveGoPlugin(PROVIDER)
