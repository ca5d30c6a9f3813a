// A listener that refuses to take up TLS sessions again, as the Rust agent's OpenSSL does without a session ID context.
import { createServer, type Server, type Socket } from 'node:net'

/** A fatal TLS alert, "internal error". */
const ALERT_INTERNAL_ERROR = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50])
const EXTENSION_PRE_SHARED_KEY = 41
const HANDSHAKE_RECORD = 0x16
/** Record and handshake headers, then version and random. */
const BEFORE_SESSION_ID = 9 + 34

/**
 * Puts a listener in front of a TLS server that only lets new sessions through.
 * @param server The server, not listening itself.
 * @see rust-keylime 3a4d5654, keylime-agent/src/main.rs: `set_session_id_context` is never called
 */
export function pickyListener(server: Server): Server {
  return createServer((socket: Socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (hello: Buffer) => {
      if (offersSession(hello)) {
        socket.end(ALERT_INTERNAL_ERROR)
        return
      }
      socket.pause()
      socket.unshift(hello)
      server.emit('connection', socket)
    })
  })
}

function offersSession(hello: Buffer): boolean {
  // Whatever is no TLS handshake, such as plain HTTP, is the server's to refuse.
  if (hello.length < BEFORE_SESSION_ID + 1 || hello[0] !== HANDSHAKE_RECORD) return false
  let at = BEFORE_SESSION_ID
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at) + 2
  while (at + 4 <= hello.length) {
    if (hello.readUInt16BE(at) === EXTENSION_PRE_SHARED_KEY) return true
    at += 4 + hello.readUInt16BE(at + 2)
  }
  return false
}
