/**
 * The service of the provider.
 *
 * @module
 */
import { status } from '@grpc/grpc-js'
import {
  type GoPluginContext,
  type GoPluginService,
  serveUnary,
  type UnaryCall,
} from '../../../plugins/go-plugin/index.ts'
import {
  type CallRequest,
  type CallResponse,
  type ConfigureRequest,
  type DiagnosticsResponse,
  type ImportRequest,
  type ImportResponse,
  ProviderService,
  type ReadRequest,
  type SchemaResponse,
  type UpgradeRequest,
  type ValidateRequest,
} from '../gen/opentofu/provider.ts'
import { PageFolder } from './page-folder.ts'
import { PageResource } from './page-resource.ts'
import { PAGES_VARIABLE } from './provider.ts'
import { known, pack, STRING, schemaOf, unpack, unpackPage } from './values.ts'

const ERROR = 1

const SCHEMA: SchemaResponse = {
  provider: schemaOf({ greeting: 'optional' }),
  resourceSchemas: { omens_page: schemaOf({ id: 'computed', text: 'required', sha256: 'computed' }) },
  dataSourceSchemas: { omens_moon: schemaOf({ phase: 'computed' }) },
  functions: {
    shout: { parameters: [{ name: 'text', type: STRING }], return: { type: STRING }, summary: 'Upper case' },
  },
}

/** Makes the service; pages are in the folder that the environment names. */
export function providerServices({ log }: GoPluginContext): GoPluginService[] {
  const folder = new PageFolder(process.env[PAGES_VARIABLE] ?? 'pages')
  const resource = new PageResource(folder, log)
  const answering = <Req, Res>(answer: (request: Req, call: UnaryCall) => Res | Promise<Res>) =>
    serveUnary(answer, (error) => {
      log.error('Handler failed', { error })
      return { code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) }
    })
  const implementation = {
    getProviderSchema: answering(() => SCHEMA),
    getFunctions: answering(() => ({ functions: SCHEMA.functions })),
    validateProviderConfig: answering(() => ({ diagnostics: [] })),
    validateResourceConfig: answering(validatePage),
    validateDataResourceConfig: answering(() => ({ diagnostics: [] })),
    configureProvider: answering(({ config }: ConfigureRequest) => {
      const { greeting } = unpack(config) as { greeting: string | null }
      // The host's certificate in the environment is how it asks for mutual TLS.
      log.info('Configured', {
        greeting,
        tls: (process.env['PLUGIN_CLIENT_CERT'] ?? '') !== '',
      })
      return { diagnostics: [] }
    }),
    upgradeResourceState: answering(({ rawState }: UpgradeRequest) => ({
      upgradedState: pack(JSON.parse(rawState?.json.toString() ?? 'null')),
    })),
    readResource: answering(({ currentState }: ReadRequest) => ({
      newState: pack(folder.read(known(unpackPage(currentState)?.id))),
    })),
    planResourceChange: answering(resource.plan),
    applyResourceChange: answering(resource.apply),
    importResourceState: answering((request: ImportRequest) => importPage(folder, request)),
    readDataSource: answering(() => ({ state: pack({ phase: 'waxing' }) })),
    callFunction: answering(shout),
    stopProvider: answering(() => {
      log.info('Stop asked for')
      resource.stop()
      return { error: '' }
    }),
  }
  return [{ definition: ProviderService, implementation }]
}

function validatePage({ config }: ValidateRequest): DiagnosticsResponse {
  process.stdout.write('printed by the provider\n')
  if (unpackPage(config)?.text !== 'forbidden') return { diagnostics: [] }
  const attribute = { steps: [{ attributeName: 'text' }] }
  return {
    diagnostics: [{ severity: ERROR, summary: 'Forbidden text', detail: 'This text may not be written.', attribute }],
  }
}

function importPage(folder: PageFolder, { typeName, id }: ImportRequest): ImportResponse {
  const page = folder.read(id)
  if (page !== null) return { importedResources: [{ typeName, state: pack(page) }], diagnostics: [] }
  const detail = `There is no page ${id}.`
  return {
    importedResources: [],
    diagnostics: [{ severity: ERROR, summary: 'No such page', detail, attribute: undefined }],
  }
}

function shout({ arguments: [text] }: CallRequest): CallResponse {
  const word = String(unpack(text))
  if (word === '') return { result: undefined, error: { text: 'nothing to shout', functionArgument: 0n } }
  return { result: pack(word.toUpperCase()), error: undefined }
}
