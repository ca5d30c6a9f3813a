// The tool as a process, and a whole site for it: fake Keylime over TLS, a fake SPIRE server on its socket.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { CHANGE_DOCUMENTS } from '../../../operator/schemas/acting.ts'
import { type FakeKeylime, type FakeKeylimeOptions, startFakeKeylime } from '../../fakes/fake-keylime.ts'
import { FakeSpireServer } from '../../fakes/fake-spire-server.ts'

const MAIN = join(import.meta.dirname, '../../../operator/main.ts')

/** What a run printed. */
export interface Ran {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the tool. */
export async function towerkeep(...words: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { exit: code ?? -1, stdout, stderr }
}

/** A site that the tool can be pointed to. */
export interface FakeSite extends AsyncDisposable {
  readonly keylime: FakeKeylime
  readonly spire: FakeSpireServer
  /** Path of its configuration. */
  readonly config: string
  readonly folder: string
  /** Adds lines to the configuration. */
  configure(more: string): void
}

/**
 * Starts a site.
 * @param options Of the fake Keylime; nodes get attested SPIRE agents too.
 */
export async function startFakeSite(options: FakeKeylimeOptions = {}): Promise<FakeSite> {
  const folder = mkdtempSync(join(tmpdir(), 'towerkeep-'))
  const keylime = await startFakeKeylime(options)
  const spire = await new FakeSpireServer(join(folder, 'api.sock')).start()
  for (const { agentId } of keylime.nodes) spire.attest(agentId)
  const config = join(folder, 'towerkeep.hcl')
  const base = [
    `spire_sockets = ["${spire.socketPath}"]`,
    'trust_domain = "example.org"',
    `keylime_verifiers = [${keylime.verifiers.map(({ host, port }) => `"${host}:${port}"`).join(', ')}]`,
    `keylime_registrars = ["${keylime.registrar.host}:${keylime.registrar.port}"]`,
    `keylime_ca_file = "${keylime.caFile}"`,
    `keylime_cert_file = "${keylime.certFile}"`,
    `keylime_key_file = "${keylime.keyFile}"`,
  ].join('\n')
  const configure = (more: string): void => writeFileSync(config, `${base}\n${more}\n`)
  configure('')
  const close = async (): Promise<void> => {
    spire.stop()
    await keylime.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { keylime, spire, config, folder, configure, [Symbol.asyncDispose]: close }
}

/** What a change printed as JSON. */
export interface Done {
  readonly exit: number
  /** With the error's message as `error`, if there was one. */
  readonly summary: Readonly<Record<string, unknown>>
  readonly items: readonly { readonly id?: string; readonly state?: string; readonly title?: string }[]
  readonly stderr: string
}

/** Runs a verb that changes something at a site, and holds what it prints to its schema. */
export async function actAt(site: FakeSite, ...words: readonly string[]): Promise<Done> {
  const journal = join(site.folder, 'journal')
  const options = ['--config', site.config, '--journal', journal, '--output', 'json', '--timeout', '3s']
  const ran = await towerkeep(...words, ...options)
  const document = JSON.parse(ran.stdout) as Done & {
    readonly schema: string
    readonly error?: { readonly message: string }
  }
  const schema = CHANGE_DOCUMENTS[document.schema]
  if (schema !== undefined) v.parse(schema, document)
  return {
    ...document,
    summary: { ...document.summary, ...(document.error !== undefined && { error: document.error.message }) },
    stderr: ran.stderr,
  }
}
