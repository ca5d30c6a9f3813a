/**
 * The keys of the keeper's configuration.
 *
 * @module
 */
import { BUNDLE_FORMATS, defineSchema } from '@tower-of-omens/spire-sdk'

/** Every key, with its default and its line of the reference. */
export const KEEPER_SCHEMA = defineSchema({
  folder: {
    kind: 'string',
    help: 'Folder for the files: `bundle.pem`, `jwks.json`, `bundle.json`. Each is replaced whole, and only when it changes.',
  },
  formats: {
    kind: 'string_list',
    oneOf: BUNDLE_FORMATS,
    default: [...BUNDLE_FORMATS],
    min: 1,
    help: 'Which files to write: any of `"pem"` (`bundle.pem`), `"jwks"` (`jwks.json`), `"spiffe"` (`bundle.json`).',
  },
  openbao_address: {
    kind: 'string',
    pattern: /https?:\/\/[^/\s]+/,
    patternText: '"https://host:port"',
    help: 'OpenBao whose JWT auth method is to accept the JWT-SVIDs of this trust domain.',
  },
  openbao_auth_path: {
    kind: 'string',
    default: 'jwt',
    pattern: /[\w-]+(\/[\w-]+)*/,
    patternText: 'the path of an auth method, without `auth/`',
    help: 'Where that method is mounted, below `auth/`. Its other settings stay as they are.',
  },
  openbao_token_file: {
    kind: 'string',
    help: 'File with the token to set its keys with; read at each change, so that an agent may renew it.',
  },
  openbao_ca_file: {
    kind: 'string',
    defaultText: "the system's roots",
    help: 'PEM file of the CA certificates that OpenBao is trusted by. Read at each change.',
  },
  reload_command: {
    kind: 'string_list',
    default: [],
    help: 'Program, by its absolute path, and its arguments, run when files have changed and once after a start: `["/usr/sbin/nginx", "-s", "reload"]`. No shell.',
  },
  timeout: {
    kind: 'duration',
    default: '10s',
    min: 100,
    max: 60_000,
    help: 'Limit of each request to OpenBao, and of the command.',
  },
})
