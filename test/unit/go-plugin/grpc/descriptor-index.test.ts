import { create, createFileRegistry, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { descriptorSet } from '../../../../plugins/go-plugin/gen/descriptors.ts'
import { DescriptorIndex } from '../../../../plugins/go-plugin/grpc/descriptor-index.ts'
import { descriptorSet as spireDescriptorSet } from '../../../../plugins/spire-sdk/gen/descriptors.ts'

type FileShape = MessageInitShape<typeof FileDescriptorProtoSchema>

const BASE = {
  name: 'base.proto',
  package: 'base.v1',
  messageType: [
    {
      name: 'Open',
      field: [{ name: 'text', number: 1 }],
      oneofDecl: [{ name: 'choice' }],
      nestedType: [{ name: 'Inner', enumType: [{ name: 'Size', value: [{ name: 'SMALL', number: 0 }] }] }],
      extensionRange: [{ start: 100, end: 200 }],
    },
  ],
  enumType: [{ name: 'Colour', value: [{ name: 'RED', number: 0 }] }],
}
const MIDDLE = { name: 'middle.proto', package: 'middle', dependency: ['base.proto'] }
const TOP = {
  name: 'top.proto',
  dependency: ['middle.proto', 'base.proto', 'missing.proto'],
  messageType: [{ name: 'Top', extension: [{ name: 'inside', number: 150, extendee: '.base.v1.Open' }] }],
  extension: [{ name: 'beside', number: 120, extendee: '.base.v1.Open' }],
  service: [{ name: 'Tower', method: [{ name: 'Climb' }] }],
}

describe('DescriptorIndex', () => {
  it.each([
    ['base.v1.Open', 'a message'],
    ['base.v1.Open.text', 'a field'],
    ['base.v1.Open.choice', 'a oneof'],
    ['base.v1.Open.Inner', 'a nested message'],
    ['base.v1.Open.Inner.Size', 'a nested enum'],
    ['base.v1.Open.Inner.SMALL', 'a value of a nested enum, beside the enum'],
    ['base.v1.Colour', 'an enum'],
    ['base.v1.RED', 'an enum value, beside the enum'],
  ])('finds the file of %s, %s [C18]', (symbol) => {
    expect(namesOf(indexOf(BASE, MIDDLE, TOP).fileContaining(symbol))).toEqual(['base.proto'])
  })

  it.each(['Top', 'Top.inside', 'beside', 'Tower', 'Tower.Climb'])(
    'gives %s, without a package, with everything it imports, each file once [C18]',
    (symbol) => {
      const found = indexOf(BASE, MIDDLE, TOP).fileContaining(symbol)
      expect(namesOf(found)).toEqual(['top.proto', 'middle.proto', 'base.proto'])
    },
  )

  it.each(['', 'base', 'base.v1', 'base.v1.Open.', '.base.v1.Open', 'base.v1.Colour.RED', 'toString', 'Climb'])(
    'knows no symbol "%s" [C18]',
    (symbol) => {
      expect(indexOf(BASE, MIDDLE, TOP).fileContaining(symbol)).toBeUndefined()
    },
  )

  it('finds a file by its name, and none by another [C18]', () => {
    const index = indexOf(BASE, MIDDLE, TOP)
    expect(namesOf(index.fileNamed('middle.proto'))).toEqual(['middle.proto', 'base.proto'])
    expect(index.fileNamed('missing.proto')).toBeUndefined()
    expect(index.fileNamed('')).toBeUndefined()
  })

  it('finds extensions, inside of a message or not, by their number, and lists them in order [C18]', () => {
    const index = indexOf(BASE, MIDDLE, TOP)
    expect(namesOf(index.fileExtending('base.v1.Open', 150))?.[0]).toBe('top.proto')
    expect(namesOf(index.fileExtending('base.v1.Open', 120))?.[0]).toBe('top.proto')
    expect(index.fileExtending('base.v1.Open', 121)).toBeUndefined()
    expect(index.fileExtending('Top', 150)).toBeUndefined()
    expect(index.extensionNumbers('base.v1.Open')).toEqual([120, 150])
    expect(index.extensionNumbers('Top')).toEqual([])
    expect(index.extensionNumbers('base.v1.Colour')).toBeUndefined()
  })

  it('keeps the file it knows when another of that name comes', () => {
    const index = indexOf(BASE)
    index.add(setOf({ ...BASE, package: 'other' }, { ...MIDDLE, package: 'base.v1', enumType: BASE.enumType }))
    expect(index.fileContaining('other.Open')).toBeUndefined()
    expect(namesOf(index.fileContaining('base.v1.Colour'))).toEqual(['base.proto'])
    expect(namesOf(index.fileNamed('middle.proto'))).toEqual(['middle.proto', 'base.proto'])
  })

  it('hands out files as they came, also what it does not read of them', () => {
    const file = create(FileDescriptorProtoSchema, {
      ...BASE,
      syntax: 'proto3',
      options: { goPackage: 'example/base' },
    })
    const [bytes] = indexOf(file).fileNamed('base.proto') ?? []
    expect(bytes).toEqual(Buffer.from(toBinary(FileDescriptorProtoSchema, file)))
  })

  it('does without an end to imports that go round', () => {
    const round = [
      { name: 'a.proto', dependency: ['b.proto'] },
      { name: 'b.proto', dependency: ['a.proto', 'b.proto'] },
    ]
    expect(namesOf(indexOf(...round).fileNamed('b.proto'))).toEqual(['b.proto', 'a.proto'])
  })

  it('finds every symbol of the generated descriptors that another implementation finds', () => {
    const index = new DescriptorIndex()
    const sets = Buffer.concat([descriptorSet(), spireDescriptorSet()])
    index.add(sets)
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, sets))
    const missed: string[] = []
    let checked = 0
    for (const type of registry) {
      const parts = type.kind === 'message' ? type.members.map(({ name }) => name) : []
      const methods = type.kind === 'service' ? type.methods.map(({ name }) => name) : []
      for (const symbol of [type.typeName, ...[...parts, ...methods].map((name) => `${type.typeName}.${name}`)]) {
        checked++
        if (namesOf(index.fileContaining(symbol))?.[0] !== type.file.proto.name) missed.push(symbol)
      }
    }
    expect(missed).toEqual([])
    expect(checked).toBeGreaterThan(200)
  })

  it.each([
    ['a text', Buffer.from('syntax = "proto3";')],
    ['one file, not a set', Buffer.from(toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, BASE)))],
    ['a file without a name', setOf({ package: 'nameless' })],
    ['nothing', Buffer.alloc(0)],
    ['a text that looks like an end', Buffer.from('descriptors')],
    ['half a set', setOf(BASE).subarray(0, 40)],
  ])('refuses %s and says what it wants', (_what, bytes) => {
    const index = indexOf(MIDDLE)
    expect(() => index.add(bytes)).toThrow(
      /^no FileDescriptorSet: .+; expected what protoc --include_imports --descriptor_set_out=FILE writes$/,
    )
    expect(index.fileNamed('base.proto')).toBeUndefined()
  })

  it('takes any bytes or refuses them in its own words', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(400), (noise, at) => {
        const bytes = Buffer.from(setOf(BASE, TOP))
        bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length))
        for (const input of [noise, bytes]) expect(outcomeOf(input)).toMatch(/^(added|no FileDescriptorSet: .+)$/s)
      }),
    )
  })
})

function outcomeOf(input: Uint8Array): string {
  try {
    new DescriptorIndex().add(input)
    return 'added'
  } catch (error) {
    return (error as Error).message
  }
}

function setOf(...files: FileShape[]): Buffer {
  return Buffer.from(toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })))
}

function indexOf(...files: FileShape[]): DescriptorIndex {
  const index = new DescriptorIndex()
  index.add(setOf(...files))
  return index
}

function namesOf(files: readonly Buffer[] | undefined): string[] | undefined {
  return files
    ?.map((bytes): FileDescriptorProto => fromBinary(FileDescriptorProtoSchema, bytes))
    .map(({ name }) => name)
}
