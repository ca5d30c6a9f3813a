// `openssl s_server`, the outside judge of what a server built on OpenSSL says to a client it does not like.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './https-fixture.ts'

/**
 * Starts `openssl s_server -www`, which answers each request with a page.
 * @param args Further arguments, such as `-Verify`.
 * @returns Its port; it ends when disposed of.
 */
export async function startOpenssl(args: readonly string[]): Promise<{ readonly port: number } & AsyncDisposable> {
  const port = await freePort()
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, '-www', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('ACCEPT')) resolve()
    })
    child.once('exit', () => reject(new Error(`openssl s_server ended: ${said}`)))
  })
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
