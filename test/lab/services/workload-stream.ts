/**
 * A workload that keeps its stream of X509-SVIDs open, as SPIFFE's libraries do: it hears at once when its host is cut off.
 *
 * @see spiffe/spiffe, standards/SPIFFE_Workload_API.md, `FetchX509SVID`
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { Client, type ClientReadableStream, credentials, Metadata } from '@grpc/grpc-js'

const METHOD = '/SpiffeWorkloadAPI/FetchX509SVID'

/** Numbers of the fields that are read. */
const FIELD = { svids: 1, certificates: 2 } as const

/** Open stream of one workload. */
export class WorkloadStream {
  readonly #client: Client
  readonly #gone = Promise.withResolvers<number>()
  readonly #first = Promise.withResolvers<void>()
  #stream: ClientReadableStream<readonly X509Certificate[]>
  #lastEnd = 0
  #updates = 0
  /** When the stream broke, by the steady clock; undefined while it stands. */
  #brokeAt: number | undefined
  #isClosed = false

  /** @param socketPath Where the SPIRE agent serves workloads. */
  constructor(socketPath: string) {
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure())
    this.#stream = this.#open()
  }

  /** Settles with the first SVIDs. */
  get first(): Promise<void> {
    return this.#first.promise
  }

  /** Settles when the workload is served no more: the moment its stream broke, by the steady clock, milliseconds. */
  get gone(): Promise<number> {
    return this.#gone.promise
  }

  /** How often SVIDs were served. */
  get updates(): number {
    return this.#updates
  }

  /** Whether a workload has a valid SVID and a stream that stands. */
  get isServed(): boolean {
    return this.#brokeAt === undefined && this.#lastEnd > Date.now()
  }

  /** When the last SVID that was served ends, milliseconds since 1970. */
  get lastEnd(): number {
    return this.#lastEnd
  }

  /** Ends the stream. */
  close(): void {
    this.#isClosed = true
    this.#stream.cancel()
    this.#client.close()
  }

  #open(): ClientReadableStream<readonly X509Certificate[]> {
    const metadata = new Metadata()
    metadata.set('workload.spiffe.io', 'true')
    const stream = this.#client.makeServerStreamRequest(METHOD, noBytes, certificatesOf, noBytes(), metadata)
    stream.on('data', (certificates: readonly X509Certificate[]) => {
      this.#brokeAt = undefined
      for (const { validToDate } of certificates) this.#lastEnd = Math.max(this.#lastEnd, validToDate.getTime())
      this.#updates += 1
      this.#first.resolve()
    })
    stream.on('error', () => this.#broke())
    stream.on('end', () => this.#broke())
    return stream
  }

  // A workload asks again at once: only when that is refused too, it has no identity any more.
  #broke(): void {
    if (this.#isClosed) return
    if (this.#brokeAt !== undefined) {
      this.#gone.resolve(this.#brokeAt)
      return
    }
    this.#brokeAt = performance.now()
    this.#stream = this.#open()
  }
}

function noBytes(): Buffer {
  return Buffer.alloc(0)
}

/** Reads the leaf of each SVID of a response. */
function certificatesOf(response: Buffer): readonly X509Certificate[] {
  return fieldsOf(response, FIELD.svids).flatMap((svid) =>
    fieldsOf(svid, FIELD.certificates).map((der) => new X509Certificate(der)),
  )
}

function fieldsOf(message: Uint8Array, wanted: number): readonly Uint8Array[] {
  const reader = new BinaryReader(message)
  const found: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === wanted && wire === WireType.LengthDelimited) found.push(reader.bytes())
    else reader.skip(wire, field)
  }
  return found
}
