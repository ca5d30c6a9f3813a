/**
 * The keys of the key manager's configuration.
 *
 * @module
 */
import { defineSchema } from '@tower-of-omens/spire-sdk'
import { DEFAULT_TPM_PATH } from '@tower-of-omens/tpm-device'

/** Every key, with its default and its line of the reference. */
export const TPM_KEYS_SCHEMA = defineSchema({
  directory: {
    kind: 'string',
    required: true,
    help: "Folder for the wrapped keys, the agent's alone; it is made when missing. What lies in it is of use in this TPM only.",
  },
  tpm_path: {
    kind: 'string',
    default: DEFAULT_TPM_PATH,
    help: "The TPM: the device of the kernel's resource manager, or the UNIX socket of an emulator.",
  },
  owner_auth_file: {
    kind: 'string',
    help: 'File with the password of the owner hierarchy, for a TPM that was given one. A line feed at its end does not count.',
  },
  timeout: {
    kind: 'duration',
    default: '15s',
    min: 1000,
    max: 60_000,
    help: 'Limit of one command of the TPM; hardware takes seconds to make an RSA key.',
  },
})
