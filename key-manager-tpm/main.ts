/**
 * The executable `key-manager-tpm`.
 *
 * @module
 */
import { servePlugin } from '@tower-of-omens/spire-sdk'
import { TPM_KEYS_PLUGIN } from './plugin.ts'

// The build writes the version in; the sources have none.
void servePlugin({ ...TPM_KEYS_PLUGIN, version: process.env['PLUGIN_VERSION'] ?? 'unbuilt' })
