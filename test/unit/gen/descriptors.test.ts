import { globSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { loadSync, type PackageDefinition } from '@grpc/proto-loader'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..', '..', '..')
const include = join(root, 'node_modules/protoc/protoc/include')

/** Each folder of .proto files, and where it is generated to. */
const FOLDERS = [
  ['proto', 'plugins/go-plugin/gen', '{goplugin,grpc,descriptor}'],
  ['proto', 'plugins/spire-sdk/gen', 'spire/{hostservice,plugin,service}'],
  ...globSync('test/conformance/proto/*/', { cwd: root }).map((folder) => [
    folder,
    folder.replace('proto', 'gen'),
    '.',
  ]),
] as [string, string, string][]

describe.each(FOLDERS)('the descriptors of %s', (protos, generated, part) => {
  it('tell of every service, method and message what the .proto files say', async () => {
    const set = await descriptorsIn(generated)
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set))
    const files = globSync(`${part}/**/*.proto`, { cwd: join(root, protos) })
    const wanted = methodsOf(loadSync(files, { includeDirs: [join(root, protos), include] }))
    const found = new Map<string, string>()
    for (const type of registry) {
      if (type.kind !== 'service') continue
      for (const { name, methodKind, input, output } of type.methods) {
        found.set(`/${type.typeName}/${name}`, `${methodKind} ${input.name} ${output.name}`)
      }
    }
    expect(wanted.size).toBeGreaterThan(0)
    expect(found).toEqual(wanted)
  })

  it('import nothing that is not in the set, and carry no comments', async () => {
    const set = await descriptorsIn(generated)
    const { file } = fromBinary(FileDescriptorSetSchema, set)
    const names = new Set(file.map(({ name }) => name))
    expect(file.flatMap(({ dependency }) => dependency.filter((name) => !names.has(name)))).toEqual([])
    expect(file.filter(({ sourceCodeInfo }) => sourceCodeInfo !== undefined)).toEqual([])
  })
})

async function descriptorsIn(folder: string): Promise<Buffer> {
  const module = (await import(join(root, folder, 'descriptors.ts'))) as { readonly descriptorSet: () => Buffer }
  return module.descriptorSet()
}

/** A second reader of the same files, at run time: proto-loader. */
function methodsOf(definitions: PackageDefinition): Map<string, string> {
  const found = new Map<string, string>()
  for (const definition of Object.values(definitions)) {
    if ('format' in definition) continue
    for (const { path, requestStream, responseStream, requestType, responseType } of Object.values(definition)) {
      const kind = requestStream
        ? responseStream
          ? 'bidi_streaming'
          : 'client_streaming'
        : responseStream
          ? 'server_streaming'
          : 'unary'
      found.set(path, `${kind} ${nameOf(requestType)} ${nameOf(responseType)}`)
    }
  }
  return found
}

function nameOf(type: object | undefined): string {
  return (type as { readonly type: { readonly name: string } }).type.name
}
