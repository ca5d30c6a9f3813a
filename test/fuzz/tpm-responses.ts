/**
 * Responses of a TPM under fuzz: every command reads every mutant.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { activateCredential, certify, pcrRead, quote } from '../../plugins/tpm/commands/attestation.ts'
import { getHandles, getProperty } from '../../plugins/tpm/commands/capability.ts'
import { byPolicy, HIERARCHY, type TpmCommand } from '../../plugins/tpm/commands/command.ts'
import { create, createPrimary, flushContext, load, readPublic } from '../../plugins/tpm/commands/keys.ts'
import { nvRead, nvSize } from '../../plugins/tpm/commands/nv.ts'
import { TpmResponseError } from '../../plugins/tpm/commands/response-code.ts'
import { policySecretOfEndorsement, startPolicySession } from '../../plugins/tpm/commands/sessions.ts'
import { sign } from '../../plugins/tpm/commands/signing.ts'
import { akTemplate, ekTemplate } from '../../plugins/tpm/commands/templates.ts'
import { TpmError } from '../../plugins/tpm/tpm-error.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const trace = JSON.parse(
  readFileSync(new URL('../fixtures/tpm/tpm2-tools-trace.json', import.meta.url), 'utf8'),
) as readonly { readonly response: string }[]

const none = Buffer.alloc(0)
const COMMANDS: readonly TpmCommand<unknown>[] = [
  getHandles(0),
  getProperty(0x105),
  createPrimary(HIERARCHY.endorsement, ekTemplate('rsa-2048')),
  create(0, akTemplate()),
  load(0, { publicArea: none, privateArea: none }),
  readPublic(0),
  flushContext(0),
  startPolicySession(),
  policySecretOfEndorsement(0),
  quote(0, none, { hashAlg: 'sha256', pcrs: [0] }),
  certify(0, 0, none),
  pcrRead({ hashAlg: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8] }),
  activateCredential(0, 0, { credential: none, secret: none }, byPolicy(0)),
  nvSize(0),
  nvRead(0, 512, 0),
  sign(0, none, 'ecdsa', 'sha256'),
  sign(0, none, 'rsapss', 'sha256'),
]

/** The readers of TPM responses. */
export const tpmResponses: FuzzTarget = {
  name: 'tpm-responses',
  mutants: 100_000,
  maxMs: 1000,
  corpus: trace.map(({ response }) => Buffer.from(response, 'hex')),
  pieces: ['8001', '8002', '00000000', 'ffffffff', '00000922', '000001df', '0000', 'ffff'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  run(input) {
    const accepted = COMMANDS.filter((command) => {
      try {
        command.parse(input)
        return true
      } catch (error) {
        if (error instanceof TpmError || error instanceof TpmResponseError) return false
        throw error
      }
    })
    return accepted.length > 0 ? 'accepted' : 'refused'
  },
}
