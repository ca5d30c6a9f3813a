/**
 * PEM text to blocks (RFC 7468), with a sentence and a line number for whatever is not well formed.
 *
 * @module
 */

/** One block between its BEGIN and END lines. */
export interface PemBlock {
  /** What stands after BEGIN, such as `CERTIFICATE` or `EC PRIVATE KEY`. */
  readonly label: string
  /** Line of the BEGIN, from 1. */
  readonly line: number
  /** The block as it stood, BEGIN to END, with a final newline. */
  readonly pem: string
  /** The decoded body; empty for a block under a passphrase of the old form. */
  readonly der: Buffer
  /** Whether a passphrase is needed. */
  readonly encrypted: boolean
}

/** Every whole block in order, and what is wrong with the text. */
export interface PemBlocks {
  readonly blocks: readonly PemBlock[]
  readonly problems: readonly string[]
}

const BEGIN = /-----BEGIN ([A-Z0-9 #]*)-----/g
/** Bound on the problems of one file that are worth naming. */
const MAX_PROBLEMS = 20
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Reads every PEM block of a text; text between blocks is comment.
 *
 * @param text Contents of one file.
 * @returns Blocks and problems; a text without any block has exactly one problem.
 */
export function readPem(text: string): PemBlocks {
  const blocks: PemBlock[] = []
  const problems: string[] = []
  const lines = new LineCounter(text)
  let until = 0
  for (const begin of text.matchAll(BEGIN)) {
    if (begin.index < until) continue
    if (problems.length >= MAX_PROBLEMS) return { blocks, problems: [...problems, 'and more of the kind'] }
    const label = begin[1] ?? ''
    const line = lines.lineAt(begin.index)
    const end = `-----END ${label}-----`
    const bodyStart = begin.index + begin[0].length
    // The next dashes must be its end: to look for the end itself would read the whole file once for each block.
    const bodyEnd = text.indexOf('-----', bodyStart)
    if (bodyEnd < 0 || !text.startsWith(end, bodyEnd)) {
      problems.push(`the ${label} block that begins in line ${line} has no end: half written?`)
      continue
    }
    until = bodyEnd + end.length
    const read = readBody(text.slice(bodyStart, bodyEnd))
    if (typeof read === 'string') problems.push(`the ${label} block in line ${line} ${read}`)
    else blocks.push({ label, line, pem: `${text.slice(begin.index, until)}\n`, ...read })
  }
  if (blocks.length === 0 && problems.length === 0) problems.push(noBlock(text))
  return { blocks, problems }
}

function readBody(body: string): Pick<PemBlock, 'der' | 'encrypted'> | string {
  const encrypted = /^\s*Proc-Type:\s*4\s*,\s*ENCRYPTED/i.test(body)
  const base64 = (encrypted ? '' : body).replace(/\s+/g, '')
  if (base64 === '' && !encrypted) return 'is empty'
  if (/\\[nr]/.test(body)) return WRITTEN_OUT
  if (!BASE64.test(base64)) return 'is not base64: half written or damaged'
  return { der: Buffer.from(base64, 'base64'), encrypted }
}

/** What becomes of line ends when PEM goes through a JSON string, an environment variable or a template. */
const WRITTEN_OUT =
  'has its line ends written out as backslash and n: put real ones there, for example with printf %b or jq -r'

function noBlock(text: string): string {
  // DER of a certificate or key begins with SEQUENCE and a long length.
  if (text.charCodeAt(0) === 0x30 && (text.charCodeAt(1) & 0x80) !== 0) {
    return 'is DER, expected PEM; convert it, for example with: openssl x509 -inform der -in FILE -out FILE.pem'
  }
  if (/^\s*[{[]/.test(text))
    return 'is JSON, expected PEM: take the text of the certificate or key out of it, for example with jq -r'
  return 'is not PEM: there is no BEGIN line'
}

/** Counter of lines from where it was asked last: every index must be at or after the one before. */
class LineCounter {
  readonly #text: string
  #line = 1
  #next: number

  constructor(text: string) {
    this.#text = text
    this.#next = text.indexOf('\n')
  }

  lineAt(index: number): number {
    while (this.#next >= 0 && this.#next < index) {
      this.#line += 1
      this.#next = this.#text.indexOf('\n', this.#next + 1)
    }
    return this.#line
  }
}
