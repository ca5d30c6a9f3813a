// Debian's chromium without a window, driven over its DevTools protocol.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Names the browser's program; undefined where there is none. */
export const CHROMIUM = ['chromium', 'chromium-browser'].find((name) => spawnSync(name, ['--version']).status === 0)

/** An open page. */
export interface Page extends AsyncDisposable {
  /** Gives the document as it is now. */
  dom(): Promise<string>
  /** Takes a picture, PNG. */
  picture(): Promise<Buffer>
  /** What the browser complained of: errors, and what the page's policy refused. */
  readonly complaints: readonly string[]
}

/**
 * Opens a page.
 * @param options `scripts`: whether its scripts run; default true.
 */
export async function openPage(url: string, options: { readonly scripts?: boolean } = {}): Promise<Page> {
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'))
  const words = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--window-size=1200,820']
  const child = spawn(
    CHROMIUM ?? '',
    [...words, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank'],
    {
      stdio: 'ignore',
    },
  )
  const port = await portOf(profile, child)
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
    type: string
    webSocketDebuggerUrl: string
  }[]
  const socket = new WebSocket(targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl ?? '')
  await once(socket, 'open')
  const complaints: string[] = []
  const call = protocol(socket, complaints)
  await Promise.all(['Page.enable', 'Runtime.enable', 'Log.enable'].map((method) => call(method)))
  if (options.scripts === false) await call('Emulation.setScriptExecutionDisabled', { value: true })
  await call('Page.navigate', { url })
  return {
    complaints,
    dom: async () => {
      const { result } = (await call('Runtime.evaluate', { expression: 'document.documentElement.outerHTML' })) as {
        result: { value: string }
      }
      return result.value
    },
    picture: async () => Buffer.from(((await call('Page.captureScreenshot')) as { data: string }).data, 'base64'),
    [Symbol.asyncDispose]: async () => {
      socket.close()
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function portOf(profile: string, child: ChildProcess): Promise<string> {
  const file = join(profile, 'DevToolsActivePort')
  for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
    const port = existsSync(file) ? readFileSync(file, 'utf8').split('\n')[0] : ''
    if (port !== undefined && port !== '') return port
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('chromium does not start')
}

type Call = (method: string, params?: object) => Promise<unknown>

function protocol(socket: WebSocket, complaints: string[]): Call {
  const waiting = new Map<number, (result: unknown) => void>()
  let last = 0
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as {
      id?: number
      result?: unknown
      method?: string
      params?: { entry?: { level: string; text: string } }
    }
    if (message.id !== undefined) waiting.get(message.id)?.(message.result)
    const entry = message.params?.entry
    if (message.method === 'Log.entryAdded' && entry !== undefined && !/favicon/.test(JSON.stringify(entry)))
      complaints.push(entry.text)
    if (message.method === 'Runtime.exceptionThrown') complaints.push(JSON.stringify(message.params))
  })
  return (method, params = {}) => {
    last += 1
    const id = last
    return new Promise((resolve) => {
      waiting.set(id, resolve)
      socket.send(JSON.stringify({ id, method, params }))
    })
  }
}
