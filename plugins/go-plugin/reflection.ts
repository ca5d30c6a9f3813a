/**
 * Server reflection, v1 and v1alpha, for grpcurl and its like. What answers is loaded when somebody asks.
 *
 * @see grpc, doc/server-reflection.md
 * @module
 */
import type { MethodDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { serveBidi } from './bidi.ts'
import type { GoPluginService } from './guarded-service.ts'

const INVALID_ARGUMENT = 3
const PACKAGES = ['grpc.reflection.v1', 'grpc.reflection.v1alpha']

/** The two versions have the same messages; they stay bytes here. */
type Method = MethodDefinition<Buffer, Buffer>

function keepBytes(bytes: Buffer): Buffer {
  return bytes
}

/**
 * Adds reflection to a plugin's services.
 *
 * @param services Every service the plugin serves.
 * @returns The same and the two reflection services, which list all of them and themselves.
 */
export function withReflection(services: readonly GoPluginService[]): readonly GoPluginService[] {
  const names = [...services.map(serviceName), ...PACKAGES.map(reflectionName)].toSorted()
  return [...services, ...PACKAGES.map((name) => reflectionService(reflectionName(name), names))]
}

function reflectionName(packageName: string): string {
  return `${packageName}.ServerReflection`
}

function serviceName(service: GoPluginService): string {
  const [method] = Object.values(service.definition)
  return method?.path.split('/')[1] ?? ''
}

function reflectionService(name: string, names: readonly string[]): GoPluginService {
  const method: Method = {
    path: `/${name}/ServerReflectionInfo`,
    requestStream: true,
    responseStream: true,
    requestSerialize: keepBytes,
    requestDeserialize: keepBytes,
    responseSerialize: keepBytes,
    responseDeserialize: keepBytes,
  }
  const serverReflectionInfo = serveBidi<Buffer, Buffer>(
    async (stream) => {
      const { answerReflection } = await import('./reflection-answers.ts')
      for (let request = await stream.receive(); request !== undefined; request = await stream.receive()) {
        await stream.send(answerReflection(request, names))
      }
    },
    () => ({ code: INVALID_ARGUMENT, details: 'not a reflection request' }),
  )
  const implementation: UntypedServiceImplementation = { serverReflectionInfo }
  return { definition: { serverReflectionInfo: method }, implementation }
}
