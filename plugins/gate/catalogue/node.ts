/**
 * Catalogue entries of the agent half: the node's Keylime agent, its key file, its TPM. Never a verdict on the node.
 *
 * @module
 */

/** The entries of the agent half, by code. */
export const NODE_ENTRIES = {
  'KL-NODE-OTHER-ID': {
    status: 'FAILED_PRECONDITION',
    message: 'the keylime agent has another id than keylime_agent_uuid',
    cause: 'The Keylime agent was configured anew, or `keylime_agent_uuid` is of another node.',
    next: "Correct `keylime_agent_uuid`, or `uuid` in the Keylime agent's configuration.",
  },
  'KL-NODE-ID-UNTOLD': {
    status: 'FAILED_PRECONDITION',
    message: 'the keylime agent does not tell its id',
    cause: 'It is an old one, which speaks API 2.1 alone.',
    next: 'Set `keylime_agent_uuid`, or update the Keylime agent.',
  },
  'KL-NODE-KEY-FILE': {
    status: 'FAILED_PRECONDITION',
    message: 'the key file of the keylime agent is missing or not usable',
    cause: 'The Keylime agent has never run on this node, or `keylime_agent_data` names another file.',
    next: 'Start the Keylime agent once, or correct `keylime_agent_data`.',
  },
  'KL-NODE-KEY-FILE-UNREADABLE': {
    status: 'UNAVAILABLE',
    message: 'the key file of the keylime agent cannot be read',
    cause: 'The user of the SPIRE agent may not read it.',
    next: 'Let that user read the file, as the message says.',
  },
  'KL-NODE-KEY-OTHER-TPM': {
    status: 'FAILED_PRECONDITION',
    message: "the keylime agent's key is not one of this TPM",
    cause: 'The TPM was cleared or replaced, or the file was copied from another machine.',
    next: 'Delete the file, restart the Keylime agent and enrol the node again.',
  },
  'KL-NODE-KEY-RENEWED': {
    status: 'UNAVAILABLE',
    message: 'the keylime agent made another key while an attestation was under way',
    cause: 'The Keylime agent was restarted between two messages.',
    next: 'Nothing: the SPIRE agent begins anew.',
  },
  'KL-TPM-UNAVAILABLE': {
    status: 'UNAVAILABLE',
    message: 'the TPM is out of reach or busy',
    cause: 'It is missing, this user may not open it, another process holds it, or it has no free slot.',
    next: 'The message names the device and what it lacks; `/dev/tpmrm0` is shared by all.',
  },
  'KL-TPM-REFUSES': {
    status: 'FAILED_PRECONDITION',
    message: 'the TPM refuses as it is set up',
    cause: 'A PCR bank is not active, or the endorsement hierarchy has a password or is locked.',
    next: 'The message says which; a password is named by `tpm_endorsement_auth_file`.',
  },
  'KL-TPM-UNEXPECTED': {
    status: 'INTERNAL',
    message: 'the TPM answers what is not expected of an attestation',
    cause: 'A fault of the TPM, of its driver, or of this plugin.',
    next: 'Look for the response code in the TPM 2.0 specification, and report it.',
  },
} as const
