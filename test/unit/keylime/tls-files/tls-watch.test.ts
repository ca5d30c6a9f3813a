import { renameSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SETTLE_MS, type TlsWatch, watchTlsFiles } from '../../../../plugins/keylime/tls-files/tls-watch.ts'
import { type IssuedCertificate, newTestPki, type TestCa } from '../../../fakes/pki.ts'
import { materialOf, originFor, startHttps } from '../https-fixture.ts'

const pki = newTestPki()
afterAll(() => pki.remove())
let root: TestCa
let caFile: string
beforeAll(async () => {
  root = await pki.root('Root')
  caFile = pki.write('root.crt', root.pem)
})

interface Line {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

interface Watched {
  readonly watch: TlsWatch
  readonly lines: Line[]
  readonly certFile: string
  readonly keyFile: string
  /** Lets time pass. */
  pass(ms: number): void
  subject(): string | undefined
}

let count = 0
async function watched(): Promise<Watched> {
  count += 1
  const pair = pki.writePair(`client-${count}`, await root.issue('first'))
  const lines: Line[] = []
  const log =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ level, message, fields })
    }
  let now = Date.now()
  const files = { caFile, ...pair }
  const watch = watchTlsFiles(files, materialOf(files), {
    clock: () => now,
    pollMs: 0,
    log: { info: log('info'), warn: log('warn'), error: log('error') },
  })
  watch.recheck()
  const pass = (ms: number): void => {
    now += ms
  }
  return { watch, lines, ...pair, pass, subject: () => watch.current().client?.subject }
}

/** Replaces a file in one step, as a careful renewal does. */
function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function replacePair(at: Watched, issued: IssuedCertificate): void {
  replace(at.certFile, issued.chainPem)
  replace(at.keyFile, issued.keyPem())
}

describe('watchTlsFiles', () => {
  it('takes renewed files for the next request, and says so once [T81] [P13]', async () => {
    const at = await watched()
    expect(at.subject()).toBe('CN=first')
    replacePair(at, await root.issue('second'))
    at.pass(1_000)
    expect(at.subject()).toBe('CN=second')
    at.pass(60_000)
    expect(at.subject()).toBe('CN=second')
    expect(at.lines.map(({ level, message, fields }) => [level, message, fields['subject']])).toEqual([
      ['info', 'TLS files reloaded', 'CN=second'],
    ])
  })

  it('sees files written in place, and files of the same size and time stamp', async () => {
    const at = await watched()
    const second = await root.issue('secnd')
    writeFileSync(at.certFile, second.chainPem)
    writeFileSync(at.keyFile, second.keyPem())
    utimesSync(at.certFile, 1, 1)
    utimesSync(at.keyFile, 1, 1)
    at.pass(1_000)
    expect(at.subject()).toBe('CN=secnd')
  })

  it('sees a link that is switched to another folder', async () => {
    const link = join(pki.folder, 'current')
    const files = { caFile, certFile: join(link, 'client.crt'), keyFile: join(link, 'client.key') }
    pki.writePair('generation-1/client', await root.issue('first'))
    pki.writePair('generation-2/client', await root.issue('second'))
    symlinkSync('generation-1', link)
    const watch = watchTlsFiles(files, materialOf(files), { pollMs: 0 })
    symlinkSync('generation-2', `${link}.new`)
    renameSync(`${link}.new`, link)
    expect(watch.recheck().client?.subject).toBe('CN=second')
    watch.close()
  })

  it('keeps the old pair while the new certificate is there without its key [P21]', async () => {
    const at = await watched()
    const second = await root.issue('second')
    replace(at.certFile, second.chainPem)
    at.pass(1_000)
    expect(at.subject()).toBe('CN=first')
    expect(at.lines).toEqual([])
    replace(at.keyFile, second.keyPem())
    at.pass(1_000)
    expect(at.subject()).toBe('CN=second')
    expect(at.lines.map(({ level }) => level)).toEqual(['info'])
  })

  it('keeps the old pair with one error logged when the new files stay broken [P21]', async () => {
    const at = await watched()
    const second = await root.issue('second')
    replace(at.certFile, second.chainPem.slice(0, 300))
    for (let look = 0; look < 10; look += 1) {
      at.pass(SETTLE_MS)
      expect(at.subject()).toBe('CN=first')
    }
    expect(at.lines.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'TLS files cannot be used, the ones loaded before stay in force'],
    ])
    expect(at.lines[0]?.fields).toMatchObject({
      subject: 'CN=first',
      problems: expect.stringContaining('has no end: half written?') as string,
    })
    replacePair(at, second)
    at.pass(1_000)
    expect(at.subject()).toBe('CN=second')
    expect(at.lines.map(({ level }) => level)).toEqual(['error', 'info'])
  })

  it('keeps the old pair when the files disappear or cannot be read any more, and finds them again [P20]', async () => {
    const at = await watched()
    unlinkSync(at.keyFile)
    at.pass(1_000)
    expect(at.subject()).toBe('CN=first')
    at.pass(SETTLE_MS)
    expect(at.subject()).toBe('CN=first')
    expect(at.lines[0]?.fields['problems']).toBe(`client key ${at.keyFile}: does not exist`)
    replacePair(at, await root.issue('second'))
    at.pass(1_000)
    expect(at.subject()).toBe('CN=second')
  })

  it('keeps the old pair when the new one is expired already', async () => {
    const at = await watched()
    replacePair(at, await root.issue('old', { validity: 'expired' }))
    at.pass(1_000)
    at.subject()
    at.pass(SETTLE_MS)
    expect(at.subject()).toBe('CN=first')
    expect(at.lines[0]?.fields['problems']).toContain('CN=old expired')
  })

  it('says nothing when a change is undone before anybody needed to know', async () => {
    const at = await watched()
    const before = await root.issue('again')
    replacePair(at, before)
    at.pass(1_000)
    at.subject()
    writeFileSync(at.certFile, '')
    at.pass(1_000)
    at.subject()
    replacePair(at, before)
    at.pass(SETTLE_MS)
    expect(at.subject()).toBe('CN=again')
    expect(at.lines.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('takes a new CA file too [T24]', async () => {
    const own = pki.write('own-ca.crt', root.pem)
    const files = { caFile: own }
    const watch = watchTlsFiles(files, materialOf(files), { pollMs: 0 })
    const next = await pki.root('Next root')
    replace(own, root.pem + next.pem)
    expect(watch.recheck().anchors).toHaveLength(2)
    watch.close()
  })
})

describe('rotation under load', { timeout: 60_000 }, () => {
  it('fails no request in twenty rotations of client certificate, key and CA file [T24] [T81] [P13]', async () => {
    const names = new Set<string>()
    const server = await root.issue('verifier')
    const mutual = { cert: server.pem, key: server.keyPem(), ca: root.pem, requestCert: true, rejectUnauthorized: true }
    await using listener = await startHttps(
      mutual,
      (_request, response) => {
        setTimeout(() => response.end('{}'), 2)
      },
      (socket) => names.add(socket.getPeerCertificate().subject.CN as string),
    )
    const pair = pki.writePair('rotated', await root.issue('generation-0'))
    const files = { caFile: pki.write('rotated-ca.crt', root.pem), ...pair }
    const watch = watchTlsFiles(files, materialOf(files), { pollMs: 0 })
    await using origin = originFor(listener.port, { tls: watch, maxConnections: 8 })

    const load = { answered: 0, isOver: false }
    const worker = async (): Promise<void> => {
      while (!load.isOver) {
        const { status } = await origin.request('/x')
        if (status === 200) load.answered += 1
      }
    }
    const workers = Array.from({ length: 16 }, worker)
    for (let generation = 1; generation <= 20; generation += 1) {
      const issued = await root.issue(`generation-${generation}`)
      replace(files.certFile, issued.chainPem)
      watch.recheck()
      replace(files.keyFile, issued.keyPem())
      watch.recheck()
      const enough = load.answered + 50
      while (load.answered < enough || !names.has(`generation-${generation}`)) await new Promise(setImmediate)
    }
    load.isOver = true
    await Promise.all(workers)
    expect(names.size).toBe(21)
    expect(load.answered).toBeGreaterThan(1_000)
  })

  it('sends a refused request again when the certificate was renewed a moment ago [T81] [P13]', async () => {
    const server = await root.issue('verifier')
    const [old, fresh] = [await pki.selfSigned('old'), await pki.selfSigned('fresh')]
    const mutual = {
      cert: server.pem,
      key: server.keyPem(),
      ca: fresh.pem,
      requestCert: true,
      rejectUnauthorized: true,
    }
    await using listener = await startHttps(mutual)
    const files = { caFile, ...pki.writePair('renewed', old) }
    const frozen = Date.now()
    const watch = watchTlsFiles(files, materialOf(files), { pollMs: 0, clock: () => frozen })
    watch.recheck()
    await using origin = originFor(listener.port, { tls: watch })
    replace(files.certFile, fresh.pem)
    replace(files.keyFile, fresh.keyPem())
    // The clock stands still, so no look at the files is due.
    expect(watch.current().client?.subject).toBe('CN=old')
    expect((await origin.request('/x')).status).toBe(200)
  })
})
