// Everything a Keylime service can do wrong on purpose, as data, and how a fake server does it.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** An answer before it is sent. */
export interface FakeAnswer {
  readonly status: number
  /** Left out for an answer without a body's type. */
  readonly contentType?: string
  readonly body: string | Uint8Array
  /** Beside the usual ones, or instead of them; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>
}

/** Says what goes wrong with a request once it has been read. */
export type Fault =
  /** The answer never comes. */
  | { readonly kind: 'hang' }
  /** The connection is reset (RST). */
  | { readonly kind: 'reset' }
  /** The connection is closed (FIN) without an answer. */
  | { readonly kind: 'close' }
  /** Half of the right body comes, then the connection is closed. */
  | { readonly kind: 'truncate' }
  /** Status and half of the right body come, then nothing more. */
  | { readonly kind: 'stall' }
  /** The right body is followed by spaces up to this many bytes. */
  | { readonly kind: 'pad'; readonly bytes: number }
  /** Another answer comes instead. */
  | { readonly kind: 'answer'; readonly answer: FakeAnswer }
  /** The right answer comes with other headers; undefined leaves one out. */
  | { readonly kind: 'headers'; readonly headers: Readonly<Record<string, string | undefined>> }
  /** The right answer's JSON is changed; what `edit` returns is sent. */
  | { readonly kind: 'edit'; readonly edit: (json: Record<string, unknown>) => unknown }

const NGINX_REASONS: Readonly<Record<number, string>> = {
  400: 'No required SSL certificate was sent',
  404: 'Not Found',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Temporarily Unavailable',
  504: 'Gateway Time-out',
}

/**
 * Makes the error page of an nginx in front of Keylime.
 * @param status HTTP status, such as 502.
 */
export function nginxError(status: number): Fault {
  const title = `${status} ${NGINX_REASONS[status] ?? 'Error'}`
  const body = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n`
  return { kind: 'answer', answer: { status, contentType: 'text/html', body, headers: { server: 'nginx/1.22.1' } } }
}

/**
 * Makes a plain answer instead of the right one.
 * @param body Text; default empty, as the verifier's framework answers.
 * @param contentType Default `text/html; charset=UTF-8`.
 */
export function answerWith(status: number, body = '', contentType = 'text/html; charset=UTF-8'): Fault {
  return { kind: 'answer', answer: { status, contentType, body } }
}

/**
 * Makes a change to the `results` of the right answer.
 * @param edit Gets the results and returns what shall be sent instead.
 */
export function editResults(edit: (results: Record<string, unknown>) => unknown): Fault {
  return {
    kind: 'edit',
    edit: (json) => ({ ...json, results: edit({ ...(json['results'] as Record<string, unknown>) }) }),
  }
}

/**
 * Answers a request wrongly.
 * @param right Makes the answer that would have been right.
 * @param wire The response and the connection under its TLS.
 */
export function answerWrongly(
  fault: Fault,
  right: () => FakeAnswer,
  wire: { readonly response: ServerResponse; readonly connection: Socket | undefined },
  send: (answer: FakeAnswer) => void,
): void {
  switch (fault.kind) {
    case 'hang':
      return
    case 'reset':
      wire.connection?.resetAndDestroy()
      return
    case 'close':
      wire.response.socket?.end()
      return
    case 'truncate':
    case 'stall':
      sendHalf(right(), wire.response, fault.kind === 'truncate')
      return
    case 'pad':
      sendPadded(right(), fault.bytes, wire.response)
      return
    case 'headers':
      send({ ...right(), headers: fault.headers })
      return
    case 'answer':
      send(fault.answer)
      return
    case 'edit': {
      const answer = right()
      const json = JSON.parse(Buffer.from(answer.body).toString()) as Record<string, unknown>
      send({ ...answer, body: JSON.stringify(fault.edit(json)) })
    }
  }
}

function sendHalf(answer: FakeAnswer, response: ServerResponse, thenClose: boolean): void {
  const body = Buffer.from(answer.body)
  response.writeHead(answer.status, {
    'content-type': answer.contentType ?? 'application/json',
    'content-length': body.length,
  })
  response.write(body.subarray(0, body.length >> 1), () => {
    if (thenClose) response.socket?.destroy()
  })
}

function sendPadded(answer: FakeAnswer, bytes: number, response: ServerResponse): void {
  const spaces = Buffer.alloc(65_536, ' ')
  let left = bytes
  const more = (): void => {
    while (left > 0) {
      const part = spaces.subarray(0, Math.min(left, spaces.length))
      left -= part.length
      if (!response.write(part)) return
    }
    response.end()
  }
  response.on('drain', more)
  response.writeHead(answer.status, {
    'content-type': answer.contentType ?? 'application/json',
    'content-length': Buffer.byteLength(answer.body) + bytes,
  })
  response.write(answer.body)
  more()
}
