import { createHash, verify } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAttest } from '../../../plugins/tpm/attest.ts'
import { activateCredential, certify, pcrRead, quote } from '../../../plugins/tpm/commands/attestation.ts'
import { FIRST_HANDLE, getHandles, getProperty, PROPERTY } from '../../../plugins/tpm/commands/capability.ts'
import { byPassword, byPolicy, HIERARCHY, type TpmCommand } from '../../../plugins/tpm/commands/command.ts'
import { create, createPrimary, flushContext, load, readPublic } from '../../../plugins/tpm/commands/keys.ts'
import { nvRead, nvSize } from '../../../plugins/tpm/commands/nv.ts'
import { TpmResponseError } from '../../../plugins/tpm/commands/response-code.ts'
import { policySecretOfEndorsement, startPolicySession } from '../../../plugins/tpm/commands/sessions.ts'
import { sign } from '../../../plugins/tpm/commands/signing.ts'
import { akTemplate, ekTemplate, signingTemplate, storageTemplate } from '../../../plugins/tpm/commands/templates.ts'
import { ecdsaDer } from '../../../plugins/tpm/ecdsa-der.ts'
import { tpm2b } from '../../../plugins/tpm/encode.ts'
import { parseTpm2bPublic } from '../../../plugins/tpm/public.ts'
import { parseSignature, verifySignature } from '../../../plugins/tpm/signature.ts'
import { TpmError } from '../../../plugins/tpm/tpm-error.ts'
import { outcomeOf, outcomesOfLengths } from './outcome.ts'
import { type Exchange, exchanges, withoutAuthorizations } from './trace.ts'

const EK = 0x81010001
const pcrs = (...numbers: number[]) => ({ hashAlg: 'sha256', pcrs: numbers }) as const
const NINE = [0, 1, 2, 3, 4, 5, 6, 7, 8]
const sizedAt = (bytes: Buffer, offset: number): Buffer =>
  bytes.subarray(offset, offset + 2 + bytes.readUInt16BE(offset))

function only(tool: string, code: number, index = 0): Exchange {
  const found = exchanges(tool, code)[index]
  if (found === undefined) throw new Error(`no ${code.toString(16)} of ${tool} in the trace`)
  return found
}

/** What a command of the trace carried behind its authorisations. */
function parametersOf({ command }: Exchange, handles: number): Buffer {
  return withoutAuthorizations(command, handles).subarray(4 + handles * 4)
}

const loaded = only('tpm2_createak', 0x157)
const wrapped = (() => {
  const parameters = parametersOf(loaded, 1)
  const privateArea = sizedAt(parameters, 0)
  return { privateArea, publicArea: sizedAt(parameters, privateArea.length) }
})()
const activated = only('tpm2_activate', 0x147)
const sealed = (() => {
  const parameters = parametersOf(activated, 2)
  const credential = sizedAt(parameters, 0)
  return { credential, secret: sizedAt(parameters, credential.length) }
})()
const signedDigest = createHash('sha256').update('hello').digest()
const ak = parseTpm2bPublic(wrapped.publicArea)

type Row = readonly [title: string, ours: TpmCommand<unknown>, theirs: Exchange, handles: number]
const GOLDEN: readonly Row[] = [
  ['GetCapability of handles', getHandles(FIRST_HANDLE.persistent), only('tpm2_getcap', 0x17a), 0],
  ['GetCapability of a property', getProperty(PROPERTY.maxNvBuffer), only('tpm2_nvread', 0x17a), 0],
  [
    'CreatePrimary of an RSA EK',
    createPrimary(HIERARCHY.endorsement, ekTemplate('rsa-2048')),
    only('tpm2_createek -c ek.ctx', 0x131),
    1,
  ],
  [
    'CreatePrimary of a P-256 EK',
    createPrimary(HIERARCHY.endorsement, ekTemplate('ec-p256')),
    only('tpm2_createek -c ekecc', 0x131),
    1,
  ],
  ['PolicySecret', policySecretOfEndorsement(0x03000000), only('tpm2_createak', 0x151), 2],
  ['Create of an AK', create(EK, akTemplate(), byPolicy(0x03000000)), only('tpm2_createak', 0x153), 1],
  ['Load', load(EK, wrapped, byPolicy(0x03000000)), loaded, 1],
  ['FlushContext', flushContext(0x03000000), only('tpm2_createak', 0x165), 0],
  ['ReadPublic', readPublic(EK), only('tpm2_readpublic', 0x173), 1],
  [
    'Quote of five PCRs',
    quote(0x80000000, Buffer.from('01aabbcc', 'hex'), pcrs(0, 2, 4, 7, 11)),
    only('tpm2_quote', 0x158),
    1,
  ],
  ['PCR_Read of five PCRs', pcrRead(pcrs(0, 2, 4, 7, 11)), only('tpm2_pcrread', 0x17e), 0],
  [
    'PCR_Read of nine PCRs',
    pcrRead(pcrs(...NINE)),
    only('tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7,8 ', 0x17e),
    0,
  ],
  ['PCR_Read of the ninth', pcrRead(pcrs(8)), only('tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7,8 ', 0x17e, 1), 0],
  ['Certify', certify(0x80000000, 0x80000001, Buffer.from('00ff55aa', 'hex')), only('tpm2_certify', 0x148), 2],
  ['ActivateCredential', activateCredential(0x80000000, EK, sealed, byPolicy(0x03000000)), activated, 2],
  ['NV_ReadPublic', nvSize(0x01c00002), only('tpm2_nvread', 0x169), 1],
  [
    'Create of a P-256 signing key',
    create(0x80000000, signingTemplate('ec-p256')),
    only('tpm2_create -C pri.ctx -G ecc256', 0x153),
    1,
  ],
  [
    'Create of a P-384 signing key',
    create(0x80000000, signingTemplate('ec-p384')),
    only('tpm2_create -C pri.ctx -G ecc384', 0x153),
    1,
  ],
  [
    'Create of an RSA signing key',
    create(0x80000000, signingTemplate('rsa-2048')),
    only('tpm2_create -C pri.ctx -G rsa2048', 0x153),
    1,
  ],
  ['Sign by P-256', sign(0x80000000, signedDigest, 'ecdsa', 'sha256'), only('tpm2_sign -c k.ctx', 0x15d), 1],
  ['Sign by RSA-PSS', sign(0x80000000, signedDigest, 'rsapss', 'sha256'), only('tpm2_sign -c kr.ctx', 0x15d), 1],
]

/** Whether a reader accepts, or refuses with an error of its own. */
function typed(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch (error) {
    return error instanceof TpmError || error instanceof TpmResponseError
  }
}

function area(command: TpmCommand<unknown>): string {
  return command.bytes.subarray(14).toString('hex')
}

describe('commands', () => {
  it.each(GOLDEN)('writes %s as tpm2-tools does', (_title, ours, theirs, handles) => {
    const expected = withoutAuthorizations(theirs.command, handles).toString('hex')
    // They name the scheme of the attestation key, RSASSA with SHA-256; we leave the key its own.
    const named = ours.name === 'Quote' || ours.name === 'Certify'
    expect(withoutAuthorizations(ours.bytes, handles).toString('hex')).toBe(
      named ? expected.replace('0014000b', '0010') : expected,
    )
    expect(ours.bytes.readUInt32BE(2)).toBe(ours.bytes.length)
  })

  it.each(GOLDEN)('reads the response to %s, and refuses it cut, longer or of another size', (_title, ours, theirs) => {
    expect(outcomeOf(() => ours.parse(theirs.response))).toBe('accepted')
    expect(outcomesOfLengths(theirs.response, (bytes) => ours.parse(bytes))).not.toContain('accepted')
    const resized = outcomesOfLengths(theirs.response, (bytes) => {
      const copy = Buffer.from(bytes)
      if (copy.length >= 10) copy.writeUInt32BE(copy.length, 2)
      ours.parse(copy)
    })
    for (const outcome of resized) expect(outcome).toMatch(/^TPM_/)
  })

  it.each(GOLDEN)(
    'never throws anything but a typed error at a changed response to %s',
    (_title, ours, { response }) => {
      const changed = fc
        .array(fc.tuple(fc.nat(response.length - 1), fc.nat(255)), { maxLength: 6 })
        .map((changes) => changes.reduce((bytes, [at, value]) => bytes.fill(value, at, at + 1), Buffer.from(response)))
      const any = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))
      fc.assert(
        fc.property(fc.oneof(changed, any), (bytes) => {
          expect(typed(() => ours.parse(bytes))).toBe(true)
        }),
        { numRuns: 300 },
      )
    },
  )

  it('authorises by an empty password, by a given one, and by a session that ends with the command', () => {
    const template = tpm2b(storageTemplate()).toString('hex')
    const rest = `000400000000${template}000000000000`
    expect(area(createPrimary(HIERARCHY.owner, storageTemplate()))).toBe(
      `000000094000000900000000 00${rest}`.replace(' ', ''),
    )
    expect(area(createPrimary(HIERARCHY.owner, storageTemplate(), byPassword(Buffer.from('abc'))))).toBe(
      `0000000c400000090000000003616263${rest}`,
    )
    expect(area(load(1, wrapped, byPolicy(0x03000007))).slice(0, 26)).toBe('00000009030000070000000000')
  })

  it('starts a policy session that is neither bound nor salted', () => {
    const command = startPolicySession()
    expect(command.bytes.toString('hex')).toBe(
      `8001000000 2b 00000176 40000007 40000007 0010 ${'00'.repeat(16)} 0000 01 0010 000b`.replaceAll(' ', ''),
    )
    const response = Buffer.from(`8001 00000030 00000000 03000000 0020 ${'ab'.repeat(32)}`.replaceAll(' ', ''), 'hex')
    expect(command.parse(response)).toBe(0x03000000)
    expect(startPolicySession('sha384').bytes.subarray(-2).toString('hex')).toBe('000c')
  })

  it('takes the storage root key from the template of the provisioning guidance', () => {
    expect(storageTemplate().toString('hex')).toBe(
      `0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0020 ${'00'.repeat(32)} 0020 ${'00'.repeat(32)}`.replaceAll(
        ' ',
        '',
      ),
    )
  })

  it('reads quotes and certificates that verify under the loaded key', () => {
    for (const { response } of exchanges('tpm2_quote', 0x158)) {
      const { attest, signature } = quote(0, Buffer.alloc(0), pcrs(0)).parse(response)
      expect(verifySignature(ak, parseSignature(signature), attest)).toBe(true)
      expect(parseAttest(attest).extraData.toString('hex')).toBe('01aabbcc')
    }
    const certified = certify(0, 0, Buffer.alloc(0)).parse(only('tpm2_certify', 0x148).response)
    expect(verifySignature(ak, parseSignature(certified.signature), certified.attest)).toBe(true)
  })

  it('reads the values behind a quote, eight at a time', () => {
    const [first, second, third] = exchanges('tpm2_quote -c ak.ctx -l sha256:0,1,2,3,4,5,6,7,8,9,10', 0x17e)
    const all = Array.from({ length: 24 }, (_, pcr) => pcr)
    const values = [first, second, third].map((exchange) =>
      pcrRead(pcrs(...all)).parse(exchange?.response ?? Buffer.alloc(0)),
    )
    expect(values.flatMap((some) => [...some.keys()])).toEqual(all)
    expect(values[0]?.get(0)).toHaveLength(32)
    expect(values[2]?.get(17)?.toString('hex')).toBe('ff'.repeat(32))
  })

  it('refuses values of PCRs that were not asked for', () => {
    const { response } = only('tpm2_pcrread', 0x17e)
    expect(outcomeOf(() => pcrRead(pcrs(0, 2, 4, 7)).parse(response))).toBe(
      'TPM_MALFORMED: response to PCR_Read selection: expected PCRs of the sha256 bank that were asked for, found others',
    )
  })

  it('reads no value of a bank that is not active', () => {
    const response = Buffer.from(
      '8001 0000001c 00000000 0000001a 00000001 000c 03 000000 00000000'.replaceAll(' ', ''),
      'hex',
    )
    expect(pcrRead({ hashAlg: 'sha384', pcrs: [0] }).parse(response).size).toBe(0)
  })

  it('reads the activated secret, the handles, the property and the size', () => {
    expect(activateCredential(0, 0, sealed, byPolicy(0)).parse(activated.response).toString()).toBe(
      '0123456789abcdef0123456789abcdef',
    )
    expect(getHandles(FIRST_HANDLE.persistent).parse(only('tpm2_getcap', 0x17a).response)).toContain(EK)
    const { response } = only('tpm2_nvread', 0x17a)
    expect(getProperty(PROPERTY.maxNvBuffer).parse(response)).toBe(1024)
    expect(getProperty(PROPERTY.manufacturer).parse(response)).toBeUndefined()
    const size = nvSize(0x01c00002).parse(only('tpm2_nvread', 0x169).response)
    expect(size).toBeGreaterThan(500)
    expect(nvRead(0x01c00002, 512, 0).bytes.subarray(-4).toString('hex')).toBe('02000000')
  })

  it('reads a signature of either type as OpenSSL takes it', () => {
    const publicOf = (tool: string): Buffer => {
      const parameters = parametersOf(only(`tpm2_load -C pri.ctx -u ${tool}`, 0x157), 1)
      return sizedAt(parameters, sizedAt(parameters, 0).length)
    }
    const ecdsa = sign(0, signedDigest, 'ecdsa', 'sha256').parse(only('tpm2_sign -c k.ctx', 0x15d).response)
    if (ecdsa.scheme !== 'ecdsa') throw new Error('scheme')
    const ecKey = parseTpm2bPublic(publicOf('k.pub')).key
    expect(verify('sha256', Buffer.from('hello'), ecKey, ecdsaDer(ecdsa.r, ecdsa.s))).toBe(true)
    const pss = sign(0, signedDigest, 'rsapss', 'sha256').parse(only('tpm2_sign -c kr.ctx', 0x15d).response)
    if (pss.scheme !== 'rsapss') throw new Error('scheme')
    const key = { key: parseTpm2bPublic(publicOf('kr.pub')).key, padding: 6 }
    expect(verify('sha256', Buffer.from('hello'), key, pss.signature)).toBe(true)
  })
})
