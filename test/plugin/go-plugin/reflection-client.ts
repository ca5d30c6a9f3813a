/** Asks a running plugin by reflection, as grpcurl does: a second implementation reads the answers. @module */
import { create, createFileRegistry, type DescService, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import {
  ServerReflectionClient,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../../plugins/go-plugin/gen/grpc/reflection/v1/reflection.ts'
import { ServerReflectionClient as AlphaClient } from '../../../plugins/go-plugin/gen/grpc/reflection/v1alpha/reflection.ts'
import type { PluginProcess } from '../../../plugins/spire-sdk/testing/index.ts'

/** Versions of the service. */
export type ReflectionVersion = 'v1' | 'v1alpha'

/** One question. */
export type ReflectionQuestion = ServerReflectionRequest['messageRequest']

/** One answer. */
export type ReflectionAnswer = ServerReflectionResponse['messageResponse']

/**
 * Asks questions over one stream.
 *
 * @returns The answers, in order.
 */
export async function askReflection(
  plugin: PluginProcess,
  questions: readonly ReflectionQuestion[],
  version: ReflectionVersion = 'v1',
): Promise<ReflectionAnswer[]> {
  // The two have the same messages.
  const kind = version === 'v1' ? ServerReflectionClient : AlphaClient
  const call = plugin.client<ServerReflectionClient>(kind).serverReflectionInfo()
  for (const messageRequest of questions) call.write({ host: '', messageRequest })
  call.end()
  const answers: ReflectionAnswer[] = []
  for await (const { messageResponse } of call as AsyncIterable<ServerReflectionResponse>) answers.push(messageResponse)
  return answers
}

/** Lists the services. */
export async function listServices(plugin: PluginProcess, version?: ReflectionVersion): Promise<string[]> {
  const [answer] = await askReflection(plugin, [{ $case: 'listServices', value: '' }], version)
  if (answer?.$case !== 'listServicesResponse') throw new Error('services are not listed')
  return answer.value.service.map(({ name }) => name)
}

/**
 * Takes the files out of an answer.
 *
 * @throws {Error} The answer is another.
 */
export function filesOf(answer: ReflectionAnswer) {
  if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`no files: ${JSON.stringify(answer)}`)
  const file = answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
  return create(FileDescriptorSetSchema, { file })
}

/**
 * Describes services from nothing but the answers.
 *
 * @returns Descriptions in the same order, complete to the last message of the last import.
 * @throws {Error} A service has no descriptor, or one that imports what is not there.
 */
export async function describeServices(
  plugin: PluginProcess,
  names: readonly string[],
  version?: ReflectionVersion,
): Promise<DescService[]> {
  const questions = names.map((value) => ({ $case: 'fileContainingSymbol', value }) as const)
  const answers = await askReflection(plugin, questions, version)
  return answers.map((answer, index) => {
    // The file that was asked for comes first, in no order those that it imports.
    const [asked, ...imports] = filesOf(answer).file
    if (asked === undefined) throw new Error('an answer has no file')
    const registry = createFileRegistry(asked, (file) => imports.find((imported) => imported.name === file))
    const name = names[index] ?? ''
    const service = registry.getService(name)
    if (service === undefined) throw new Error(`the descriptors hold no ${name}`)
    return service
  })
}
