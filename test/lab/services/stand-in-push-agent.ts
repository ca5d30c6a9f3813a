/**
 * A Keylime agent in push mode for machines without the real one: registers, proves its key to the verifier, and sends a
 * quote as often as the verifier asks for one. It opens no port and holds no certificate. A process of its own:
 * `node stand-in-push-agent.ts <configuration file>`.
 *
 * @see rust-keylime 3a4d5654, keylime-push-model-agent; keylime 9b1f6e6a, keylime/web/verifier
 * @module
 */
import { createHmac } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { ekUuid, parseAgentId } from '@tower-of-omens/keylime'
import { parseAgentData } from '@tower-of-omens/keylime/evidence'
import { encodePcrBlob, nameOf, parseTpm2bPublic } from '@tower-of-omens/tpm'
import { activateCredential, akTemplate, certify, create, load, type WrappedKey } from '@tower-of-omens/tpm/commands'
import {
  type EndorsementKey,
  findEndorsementKey,
  quotePcrs,
  readNvIndex,
  Tpm,
  withEndorsementKey,
} from '@tower-of-omens/tpm-device'
import { RigError, reasonOf } from '../processes/errors.ts'
import { keyFileText } from './key-file.ts'

/** The configuration file, JSON. */
export interface PushStandInConfig {
  /** UNIX socket of the TPM. */
  readonly tpmPath: string
  /** `agent_data.json`, kept from start to start. */
  readonly keyFile: string
  /** "hash_ek", or the ID itself. */
  readonly uuid: string
  /** Base URL of the registrar's plain HTTP port. */
  readonly registrarUrl: string
  /** Base URL of the verifier, and the CA of its certificate. */
  readonly verifierUrl: string
  readonly verifierCaFile: string
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

const EK_CERTIFICATE_INDEX = 0x01c00002
const EVERY_PCR = Array.from({ length: 24 }, (_, pcr) => pcr)
const JSON_API = 'application/vnd.api+json'
const BOOT_TIME = new Date(Math.floor(Date.now() / 1000) * 1000 - 3_600_000).toISOString().replace('.000Z', 'Z')
const FIRST_ASK_AGAIN_MS = 1_000

/** The agent with its key loaded. */
class PushAgent {
  readonly #config: PushStandInConfig
  readonly #tpm: Tpm
  readonly #ek: EndorsementKey
  readonly #key: WrappedKey & { readonly handle: number }
  readonly id: string

  private constructor(config: PushStandInConfig, tpm: Tpm, ek: EndorsementKey, key: WrappedKey & { handle: number }) {
    this.#config = config
    this.#tpm = tpm
    this.#ek = ek
    this.#key = key
    this.id = config.uuid === 'hash_ek' ? ekUuid(ek.key.pem) : config.uuid
  }

  /** Opens the TPM and loads the key of the key file, or makes one and writes that file. */
  static async open(config: PushStandInConfig): Promise<PushAgent> {
    const tpm = await Tpm.open({ path: config.tpmPath, timeoutMs: 15_000 })
    const ek = await findEndorsementKey(tpm, ({ type }) => type === 'rsa')
    if (ek === undefined) throw new RigError(`the TPM at ${config.tpmPath} has no RSA endorsement key`)
    const wrapped = existsSync(config.keyFile)
      ? parseAgentData(readFileSync(config.keyFile, 'utf8'))
      : await withEndorsementKey(tpm, ek, (by) => tpm.run(create(ek.handle, akTemplate(), by)))
    writeFileSync(config.keyFile, keyFileText(wrapped, ekUuid(ek.key.pem)))
    const { handle } = await withEndorsementKey(tpm, ek, (by) => tpm.run(load(ek.handle, wrapped, by)))
    const { publicArea, privateArea } = wrapped
    return new PushAgent(config, tpm, ek, { publicArea, privateArea, handle })
  }

  /** Registers, and activates the registration by opening the registrar's credential. */
  async register(): Promise<void> {
    const path = `/v2.5/agents/${parseAgentId(this.id)}`
    const certificate = derOf(await readNvIndex(this.#tpm, EK_CERTIFICATE_INDEX))
    const registered = await this.#registrar('POST', path, {
      ek_tpm: this.#ek.publicArea.toString('base64'),
      ekcert: certificate.toString('base64'),
      aik_tpm: this.#key.publicArea.toString('base64'),
      mtls_cert: 'disabled',
      ip: '127.0.0.1',
      port: 9002,
    })
    const blob = Buffer.from(textAt(registered.body, 'results', 'blob'), 'base64')
    // tpm2-tools' file: magic and version, then both structures, each behind its length.
    const end = 10 + blob.readUInt16BE(8)
    const sealed = { credential: blob.subarray(8, end), secret: blob.subarray(end) }
    const key = await withEndorsementKey(this.#tpm, this.#ek, (by) =>
      this.#tpm.run(activateCredential(this.#key.handle, this.#ek.handle, sealed, by)),
    )
    const tag = createHmac('sha384', key.toString('base64')).update(this.id).digest('hex')
    await this.#registrar('PUT', `${path}/activate`, { auth_tag: tag })
  }

  /** Proves to the verifier that it holds its key. @returns The token that shows it; undefined: it is not enrolled yet. */
  async authenticate(): Promise<string | undefined> {
    const opened = await this.#verifier('POST', '/v3.0/sessions', undefined, {
      type: 'session',
      attributes: {
        agent_id: this.id,
        authentication_supported: [{ authentication_class: 'pop', authentication_type: 'tpm_pop' }],
      },
    })
    if (opened.status !== 200) return undefined
    const session = textAt(opened.body, 'data', 'id')
    const challenge = textAt(
      opened.body,
      'data',
      'attributes',
      'authentication_requested',
      '0',
      'chosen_parameters',
      'challenge',
    )
    const { attest, signature } = await this.#tpm.run(
      certify(this.#key.handle, this.#key.handle, Buffer.from(challenge, 'base64')),
    )
    const proved = await this.#verifier('PATCH', `/v3.0/sessions/${session}`, undefined, {
      type: 'session',
      id: session,
      attributes: {
        agent_id: this.id,
        authentication_provided: [
          {
            authentication_class: 'pop',
            authentication_type: 'tpm_pop',
            data: { message: attest.toString('base64'), signature: signature.toString('base64') },
          },
        ],
      },
    })
    const passed = valueAt(proved.body, 'data', 'attributes', 'evaluation') === 'pass'
    return passed ? textAt(proved.body, 'data', 'attributes', 'token') : undefined
  }

  /** Attests once. @returns Milliseconds until the next time; undefined: the verifier asks for none, or not us. */
  async attest(token: string): Promise<number | undefined> {
    const path = `/v3.0/agents/${this.id}/attestations`
    const offered = await this.#verifier('POST', path, token, { type: 'attestation', attributes: this.#capabilities() })
    if (offered.status !== 201) return undefined
    const parameters = ['data', 'attributes', 'evidence_requested', '0', 'chosen_parameters'] as const
    const challenge = textAt(offered.body, ...parameters, 'challenge')
    const selected = valueAt(offered.body, ...parameters, 'selected_subjects', 'sha256')
    const pcrs = Array.isArray(selected) ? selected.map(Number).toSorted((one, other) => one - other) : []
    const extraData = Buffer.from(challenge, 'base64')
    const made = await quotePcrs(this.#tpm, this.#key.handle, extraData, { hashAlg: 'sha256', pcrs })
    const data = {
      message: made.attest.toString('base64'),
      signature: made.signature.toString('base64'),
      subject_data: encodePcrBlob('sha256', made.values).toString('base64'),
    }
    const sent = await this.#verifier('PATCH', `${path}/latest`, token, {
      type: 'attestation',
      attributes: {
        evidence_collected: [{ evidence_class: 'certification', evidence_type: 'tpm_quote', data }],
      },
    })
    if (sent.status !== 202) return undefined
    return 1000 * Number(valueAt(sent.body, 'meta', 'seconds_to_next_attestation') ?? 5)
  }

  #capabilities(): object {
    const key = {
      key_class: 'asymmetric',
      key_algorithm: 'rsa',
      key_size: 2048,
      server_identifier: 'ak',
      local_identifier: nameOf(parseTpm2bPublic(this.#key.publicArea)).toString('hex'),
      public: this.#key.publicArea.toString('base64'),
      allowable_hash_algorithms: ['sha256'],
      allowable_signature_schemes: ['rsassa'],
    }
    const capabilities = {
      component_version: '2.0',
      hash_algorithms: ['sha256'],
      signature_schemes: ['rsassa'],
      available_subjects: { sha256: EVERY_PCR },
      certification_keys: [key],
    }
    return {
      evidence_supported: [{ evidence_class: 'certification', evidence_type: 'tpm_quote', capabilities }],
      system_info: { boot_time: BOOT_TIME },
    }
  }

  async #registrar(method: string, path: string, body: unknown): Promise<Answer> {
    const answer = await exchange(method, this.#config.registrarUrl + path, 'application/json', body)
    if (answer.status === 200) return answer
    throw new RigError(`registrar answered ${answer.status} to ${method} ${path}`)
  }

  #verifier(method: string, path: string, token: string | undefined, data: object): Promise<Answer> {
    const { verifierUrl, verifierCaFile } = this.#config
    return exchange(method, verifierUrl + path, JSON_API, { data }, { ca: readFileSync(verifierCaFile), token })
  }
}

/** The NV index is larger than the certificate in it. */
function derOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, 4 + bytes.readUInt16BE(2))
}

function exchange(
  method: string,
  url: string,
  contentType: string,
  body: unknown,
  { ca, token }: { readonly ca?: Buffer; readonly token?: string | undefined } = {},
): Promise<Answer> {
  const text = JSON.stringify(body)
  const headers = {
    'content-type': contentType,
    accept: contentType,
    'content-length': Buffer.byteLength(text),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  // As the real agent may: the verifier's own certificate names other hosts than it is called by.
  const tls = ca === undefined ? {} : { ca, checkServerIdentity: () => undefined }
  const send = ca === undefined ? requestHttp : requestHttps
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers, timeout: 15_000, ...tls }, (response) => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const answered = Buffer.concat(chunks).toString()
        log(`${method} ${new URL(url).pathname} ${response.statusCode ?? 0}`)
        resolve({ status: response.statusCode ?? 0, body: answered === '' ? undefined : JSON.parse(answered) })
      })
    })
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${url} within 15 s`)))
    request.end(text)
  })
}

function valueAt(body: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    body,
  )
}

function textAt(body: unknown, ...path: readonly string[]): string {
  const value = valueAt(body, ...path)
  if (typeof value === 'string') return value
  throw new RigError(`an answer lacks ${path.join('.')}`)
}

function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text}\n`)
}

async function main(): Promise<void> {
  const configFile = process.argv[2]
  if (configFile === undefined) throw new RigError('usage: node stand-in-push-agent.ts <configuration file>')
  const agent = await PushAgent.open(JSON.parse(readFileSync(configFile, 'utf8')) as PushStandInConfig)
  await agent.register()
  log(`Agent UUID: ${agent.id}`)
  log('Registered; no port is open')
  let token: string | undefined
  for (;;) {
    try {
      token ??= await agent.authenticate()
      const next = token === undefined ? undefined : await agent.attest(token)
      if (next === undefined) token = undefined
      await sleep(next ?? FIRST_ASK_AGAIN_MS)
    } catch (error) {
      // A verifier that is away comes back.
      log(reasonOf(error))
      token = undefined
      await sleep(FIRST_ASK_AGAIN_MS)
    }
  }
}

// The last line of the log is what the rig shows, so it must say why.
try {
  await main()
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exit(1)
}
