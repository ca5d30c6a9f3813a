/**
 * Answers to reflection requests: which services there are, and the descriptors of all they are made of.
 *
 * @module
 */
import {
  type FileDescriptorResponse,
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../gen/grpc/reflection/v1/reflection.ts'
import type { HclogLogger } from '../log/hclog.ts'
import type { DescriptorIndex } from './descriptor-index.ts'

type Answer = ServerReflectionResponse['messageResponse']

const NOT_FOUND = 5
const UNIMPLEMENTED = 12

/**
 * Hands over the descriptors of a plugin's own services: a serialized FileDescriptorSet with everything they import, as
 * `protoc --include_imports --descriptor_set_out=FILE` writes it. Called once, when a client first asks for a
 * descriptor; no host of go-plugin does, tools such as grpcurl do.
 */
export type DescriptorSource = () => Uint8Array | Promise<Uint8Array>

/** What reflection tells of. */
export interface ReflectionParts {
  /** Full names of the services. */
  readonly names: readonly string[]
  /** Descriptors of the plugin's own services. */
  readonly descriptors: readonly DescriptorSource[]
  /** Told when the plugin's descriptors are none. */
  readonly log: HclogLogger
}

/**
 * Makes the function that answers requests of either version. Descriptors are loaded when one is first asked for.
 *
 * @param parts See `ReflectionParts`.
 * @returns Turns an encoded `ServerReflectionRequest` into an encoded `ServerReflectionResponse`; throws when the bytes
 *   are no request.
 */
export function newReflectionAnswers(parts: ReflectionParts): (bytes: Buffer) => Promise<Buffer> {
  let loading: Promise<DescriptorIndex> | undefined
  const index = (): Promise<DescriptorIndex> => (loading ??= loadIndex(parts))
  return async (bytes) => {
    const request = ServerReflectionRequest.decode(bytes)
    const messageResponse = await answer(request.messageRequest, parts.names, index)
    const response = { validHost: request.host, originalRequest: request, messageResponse }
    return Buffer.from(ServerReflectionResponse.encode(response).finish())
  }
}

// The plugin's own descriptors come first: they belong together, and ours may be of another version.
async function loadIndex({ descriptors, log }: ReflectionParts): Promise<DescriptorIndex> {
  const { DescriptorIndex } = await import('./descriptor-index.ts')
  const { descriptorSet } = await import('../gen/descriptors.ts')
  const index = new DescriptorIndex()
  for (const source of descriptors) {
    try {
      index.add(await source())
    } catch (error) {
      log.error('Descriptors of the plugin cannot be read', { error })
    }
  }
  index.add(descriptorSet())
  return index
}

async function answer(
  asked: ServerReflectionRequest['messageRequest'],
  names: readonly string[],
  index: () => Promise<DescriptorIndex>,
): Promise<Answer> {
  if (asked === undefined) return failure(UNIMPLEMENTED, 'request asks for nothing this server knows')
  if (asked.$case === 'listServices') {
    return { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } }
  }
  const known = await index()
  if (asked.$case === 'fileByFilename') return files(known.fileNamed(asked.value), `no file ${asked.value}`)
  if (asked.$case === 'fileContainingSymbol') {
    return files(known.fileContaining(asked.value), noSymbol(asked.value, names))
  }
  if (asked.$case === 'fileContainingExtension') {
    const { containingType, extensionNumber } = asked.value
    const found = known.fileExtending(containingType, extensionNumber)
    return files(found, `no extension ${extensionNumber} of ${containingType}`)
  }
  const extensionNumber = known.extensionNumbers(asked.value)
  if (extensionNumber === undefined) return failure(NOT_FOUND, `no message ${asked.value}`)
  return { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber } }
}

function noSymbol(symbol: string, names: readonly string[]): string {
  return names.includes(symbol) ? `the plugin serves ${symbol} but has no descriptor of it` : `no symbol ${symbol}`
}

function files(fileDescriptorProto: FileDescriptorResponse['fileDescriptorProto'] | undefined, none: string): Answer {
  if (fileDescriptorProto === undefined) return failure(NOT_FOUND, none)
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
}

function failure(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } }
}
