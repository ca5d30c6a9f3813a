/**
 * The service of the trial plugin: a little of everything a plugin may do, messages in JSON.
 *
 * @module
 */
import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  makeGenericClientConstructor,
  type ServiceError,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { ClientConstructor } from '../../../plugins/go-plugin/host/plugin-process.ts'

/** What the caller wants done. */
export interface TrialRequest {
  readonly action: string
  readonly text?: string
  readonly id?: number
  readonly count?: number
}

/** What came of it. */
export interface TrialResponse {
  readonly text: string
  readonly pid?: number
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function method(name: string, stream: boolean): MethodDefinition<TrialRequest, TrialResponse> {
  return {
    path: `/trial.Trial/${name}`,
    requestStream: stream,
    responseStream: stream,
    requestSerialize: encode,
    requestDeserialize: (bytes) => JSON.parse(bytes.toString()) as TrialRequest,
    responseSerialize: encode,
    responseDeserialize: (bytes) => JSON.parse(bytes.toString()) as TrialResponse,
  }
}

/** Definition for servers and clients. */
export const TRIAL = { run: method('Run', false), chat: method('Chat', true) }

/** Functions of a server. */
export interface TrialServer extends UntypedServiceImplementation {
  run: handleUnaryCall<TrialRequest, TrialResponse>
  chat: handleBidiStreamingCall<TrialRequest, TrialResponse>
}

/** Client, as a generated one would look. */
export interface TrialClient extends Client {
  run(request: TrialRequest, callback: (error: ServiceError | null, response: TrialResponse) => void): unknown
  run(
    request: TrialRequest,
    options: Partial<CallOptions>,
    callback: (error: ServiceError | null, response: TrialResponse) => void,
  ): unknown
  chat(options?: Partial<CallOptions>): ClientDuplexStream<TrialRequest, TrialResponse>
}

/** Constructor of the client. */
export const TrialClient = makeGenericClientConstructor(
  TRIAL,
  'trial.Trial',
) as unknown as ClientConstructor<TrialClient>
