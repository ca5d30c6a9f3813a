/**
 * Answers to reflection requests: the names of the services. A plugin carries no descriptors; tools that describe or
 * call a service need the .proto files.
 *
 * @module
 */
import { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts'

const NOT_FOUND = 5

/**
 * Answers one request of either version.
 *
 * @param bytes Encoded `ServerReflectionRequest`.
 * @param names Full names of the services.
 * @returns Encoded `ServerReflectionResponse`.
 */
export function answerReflection(bytes: Buffer, names: readonly string[]): Buffer {
  const request = ServerReflectionRequest.decode(bytes)
  const messageResponse: ServerReflectionResponse['messageResponse'] =
    request.messageRequest?.$case === 'listServices'
      ? { $case: 'listServicesResponse', value: { service: names.map((name) => ({ name })) } }
      : {
          $case: 'errorResponse',
          value: { errorCode: NOT_FOUND, errorMessage: 'no descriptors; use the .proto files' },
        }
  const response = { validHost: request.host, originalRequest: request, messageResponse }
  return Buffer.from(ServerReflectionResponse.encode(response).finish())
}
