/**
 * Which files a TLS client reads, and what messages call them.
 *
 * @module
 */

/** Paths of the files; each may be absent. Without `caFile` the system's roots count. */
export interface TlsFiles {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** True: the service knows its clients by another CA, so a client chain that does not reach `caFile` means nothing. */
  readonly clientCaElsewhere?: boolean | undefined
}

/** What messages call each file: the configuration keys that name them. */
export interface TlsFileNames {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}
