/**
 * An index of .proto descriptors by the name of the file, by what it declares or by what it extends. Loaded when reflection
 * is first asked for one.
 *
 * @see google/protobuf/descriptor.proto
 * @module
 */
import {
  type EnumOutline,
  type FieldOutline,
  FileOutline,
  FileSet,
  type MessageOutline,
} from '../gen/descriptor/outline.ts'

/** One file: its serialized FileDescriptorProto, and the names of the files it imports. */
interface DescriptorFile {
  readonly bytes: Buffer
  readonly imports: readonly string[]
}

/** Files by everything a reflection client may ask for. What came first goes before what came later. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescriptorFile>()
  readonly #symbols = new Map<string, DescriptorFile>()
  readonly #messages = new Set<string>()
  readonly #extensions = new Map<string, Map<number, DescriptorFile>>()

  /**
   * Adds the files of a set, leaving out those whose name is known.
   *
   * @param set Serialized FileDescriptorSet.
   * @throws {Error} The bytes are none; nothing has been added.
   */
  add(set: Uint8Array): void {
    for (const { bytes, outline } of parseSet(set)) {
      if (this.#files.has(outline.name)) continue
      const file = { bytes, imports: outline.dependency }
      this.#files.set(outline.name, file)
      this.#addFile(outline, file)
    }
  }

  /**
   * Finds a file by its name.
   *
   * @param name As in an `import` line.
   * @returns Serialized descriptors, of the file first and then of all it imports; `undefined` when it is unknown.
   */
  fileNamed(name: string): Buffer[] | undefined {
    return this.#withImports(this.#files.get(name))
  }

  /**
   * Finds the file that declares something.
   *
   * @param symbol Full name of a service, method, message, field, oneof, enum, enum value or extension.
   * @returns As `fileNamed`.
   */
  fileContaining(symbol: string): Buffer[] | undefined {
    return this.#withImports(this.#symbols.get(symbol))
  }

  /**
   * Finds the file that declares an extension.
   *
   * @param message Full name of the message that is extended.
   * @param number Field number of the extension.
   * @returns As `fileNamed`.
   */
  fileExtending(message: string, number: number): Buffer[] | undefined {
    return this.#withImports(this.#extensions.get(message)?.get(number))
  }

  /**
   * Lists the extensions of a message.
   *
   * @param message Its full name.
   * @returns Field numbers in order; `undefined` when neither the message nor an extension of it is known.
   */
  extensionNumbers(message: string): number[] | undefined {
    const numbers = this.#extensions.get(message)
    if (numbers === undefined) return this.#messages.has(message) ? [] : undefined
    return [...numbers.keys()].toSorted((a, b) => a - b)
  }

  // What is imported but not known is left out: the client asks for it by name and is told.
  #withImports(file: DescriptorFile | undefined): Buffer[] | undefined {
    if (file === undefined) return undefined
    const found = new Set([file])
    // A set goes on with what is added to it meanwhile.
    for (const { imports } of found) {
      for (const name of imports) {
        const imported = this.#files.get(name)
        if (imported !== undefined) found.add(imported)
      }
    }
    return [...found].map(({ bytes }) => bytes)
  }

  #addFile(outline: FileOutline, file: DescriptorFile): void {
    const scope = outline.package
    for (const message of outline.messageType) this.#addMessage(scope, message, file)
    for (const declared of outline.enumType) this.#addEnum(scope, declared, file)
    for (const extension of outline.extension) this.#addExtension(scope, extension, file)
    for (const { name, method } of outline.service) {
      const service = this.#declare(scope, name, file)
      for (const { name: of } of method) this.#declare(service, of, file)
    }
  }

  #addMessage(scope: string, message: MessageOutline, file: DescriptorFile): void {
    const name = this.#declare(scope, message.name, file)
    this.#messages.add(name)
    for (const part of [...message.field, ...message.oneofDecl]) this.#declare(name, part.name, file)
    for (const nested of message.nestedType) this.#addMessage(name, nested, file)
    for (const declared of message.enumType) this.#addEnum(name, declared, file)
    for (const extension of message.extension) this.#addExtension(name, extension, file)
  }

  // The values of an enum are named beside it, not inside of it.
  #addEnum(scope: string, { name, value }: EnumOutline, file: DescriptorFile): void {
    for (const declared of [name, ...value.map((one) => one.name)]) this.#declare(scope, declared, file)
  }

  #addExtension(scope: string, { name, extendee, number }: FieldOutline, file: DescriptorFile): void {
    this.#declare(scope, name, file)
    const message = extendee.replace(/^\./, '')
    const numbers = this.#extensions.get(message) ?? new Map<number, DescriptorFile>()
    this.#extensions.set(message, numbers)
    if (!numbers.has(number)) numbers.set(number, file)
  }

  #declare(scope: string, name: string, file: DescriptorFile): string {
    const full = scope === '' ? name : `${scope}.${name}`
    if (!this.#symbols.has(full)) this.#symbols.set(full, file)
    return full
  }
}

function parseSet(set: Uint8Array): { readonly bytes: Buffer; readonly outline: FileOutline }[] {
  try {
    const files = FileSet.decode(set).file
    if (files.length === 0) throw new Error('there is no file in it')
    return files.map((bytes) => {
      const outline = FileOutline.decode(bytes)
      if (outline.name === '') throw new Error('a file has no name')
      return { bytes, outline }
    })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const expected = 'what protoc --include_imports --descriptor_set_out=FILE writes'
    throw new Error(`no FileDescriptorSet: ${reason}; expected ${expected}`, { cause })
  }
}
