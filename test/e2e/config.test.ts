import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Rig } from '../lab/one-host/rig.ts'
import type { ServerChange } from '../lab/one-host/spire-maker.ts'
import { SPIRE_VERSION } from '../lab/parts/spire.ts'
import { renderHcl, renderJson } from '../lab/services/hcl-text.ts'
import type { SpireServer } from '../lab/services/spire-server.ts'
import { Swtpm } from '../lab/services/swtpm.ts'
import { linesOf, startAndAttest, startAndBeRefused, startHost } from './host.ts'

/** What every Keylime agent claims that nobody has configured. */
const DEFAULT_UUID = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000'

let rig: Rig
const allowed = { allow_default_uuid: true }

beforeAll(async () => {
  rig = await startHost({ name: 'config', quoteInterval: 1, uuid: DEFAULT_UUID })
  await rig.enrol()
})
afterAll(() => rig.stop())

/** Starts a server that must not come up, and gives its log. */
async function failedStart(change: ServerChange): Promise<string> {
  const server = await rig.newServer(change)
  await expect(server.start()).rejects.toThrow(/spire-server-\S+ ended with code 1/)
  return server.process().readLog()
}

/** Starts a server that must come up, runs a test with it, stops it. */
async function withServer(change: ServerChange, test: (server: SpireServer) => Promise<void>): Promise<void> {
  const server = await rig.newServer(change)
  await server.start()
  try {
    await test(server)
  } finally {
    await server.stop()
  }
}

/** A folder with a TPM maker's root and intermediate, as an operator collects them. */
function caFolder(name: string, tpm: Swtpm): string {
  const folder = join(rig.dir, name)
  mkdirSync(folder)
  copyFileSync(tpm.ekRootFile, join(folder, 'root.pem'))
  copyFileSync(join(tpm.ekRootFile, '..', 'issuercert.pem'), join(folder, 'issuer.pem'))
  return folder
}

describe('plugin_data_file and SIGUSR1', () => {
  it.each([
    { format: 'hcl', render: renderHcl },
    { format: 'json', render: renderJson },
  ] as const)(
    'put a changed $format file in force without a restart: the default UUID is refused, then allowed [C55] [T86] [T08]',
    async ({ format, render }) => {
      const name = `reload-${format}`
      const path = join(rig.dir, `${name}.plugin`)
      await withServer({ name, format, plugin: { dataFile: { path, format } } }, async (server) => {
        const agent = await rig.newAgent(server, { name })
        const before = server.process().members()
        const refusal = await startAndBeRefused(agent)
        expect(refusal.code).toBe('PermissionDenied')
        expect(refusal.message).toContain(DEFAULT_UUID)

        const data = JSON.parse(format === 'json' ? readFileSync(path, 'utf8') : '{}') as Record<string, string>
        const text = readFileSync(path, 'utf8')
        writeFileSync(path, format === 'json' ? render({ ...data, ...allowed }) : `${text}${render(allowed)}`)
        server.process().kill('SIGUSR1')
        await server.waitForLog(/msg="Reconfigured plugin"|reconfigured/i)
        await agent.forget()
        await startAndAttest(agent)
        expect(server.process().members()).toEqual(before)
        await agent.stop()
      })
    },
  )
})

describe('plugin_checksum', () => {
  it('stops spire-server from starting a changed executable [C41]', async () => {
    const copy = join(rig.dir, 'changed-plugin')
    copyFileSync(rig.parts.serverPlugin, copy)
    chmodSync(copy, 0o755)
    const server = await rig.newServer({ name: 'changed', plugin: { command: copy } })
    const bytes = readFileSync(copy)
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    writeFileSync(copy, bytes)
    await expect(server.start()).rejects.toThrow('ended with code 1')
    expect(linesOf(server.process().readLog(), /checksums did not match/)).not.toEqual([])
  })
})

describe('plugin_checksum in the configuration', () => {
  it.each([
    ['NOT_A_CHECKSUM', /checksum is not a valid hex string/],
    ['DEADBEEF', /expected checksum of length 64; got 8/],
    ['0'.repeat(64), /failed to launch plugin: checksums did not match/],
  ])('%s stops spire-server, which says why [C41]', async (checksum, said) => {
    const server = await rig.newServer({ name: `sum-${checksum.slice(0, 8)}`, plugin: { checksum } })
    await expect(server.start()).rejects.toThrow('ended with code 1')
    expect(linesOf(server.process().readLog(), said)).not.toEqual([])
  })

  it('may be left out, which spire-server warns of [C41]', async () => {
    await withServer({ name: 'no-sum', plugin: { checksum: false } }, (server) => {
      expect(linesOf(server.process().readLog(), /level=warning .*[Cc]hecksum not configured/)).not.toEqual([])
      return Promise.resolve()
    })
  })
})

describe('a configuration with a mistake', () => {
  it('stops spire-server, with the unknown key, its place and the likely one [T80]', async () => {
    const log = await failedStart({ name: 'typo', plugin: { data: { ...allowed, keylime_tls_ca_cert: '/x' } } })
    expect(log).toMatch(
      /InvalidArgument[^\n]*keylime_tls_ca_cert: unknown key; did you mean [^\n]*keylime_tls_ca_cert_file/,
    )
  })

  it('names the file that cannot be read [T29]', async () => {
    const log = await failedStart({ name: 'no-file', plugin: { data: { keylime_tls_key_file: '/no/such.key' } } })
    expect(log).toMatch(/InvalidArgument[^\n]*keylime_tls_key_file[^\n]*\/no\/such\.key/)
  })
})

// SPIRE asks the plugins themselves from 1.14 on.
describe.skipIf(SPIRE_VERSION.startsWith('1.13.'))('spire-server validate', () => {
  it('finds nothing wrong with a good configuration, and starts nothing [C53]', async () => {
    const server = await rig.newServer({ name: 'valid' })
    expect(await server.validate()).toMatchObject({ code: 0, stdout: expect.stringContaining('valid') as string })
    expect(existsSync(server.socketPath)).toBe(false)
  })

  it('prints the unknown key with its place and the likely one, and each other problem, and fails [C53] [T80]', async () => {
    const data = { keylime_tls_ca_cert: '/x', keylime_tls_key_file: '/no/such.key', request_timeout: 'soon' }
    const server = await rig.newServer({ name: 'invalid', plugin: { data } })
    const { code, stdout, stderr } = await server.validate()
    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(
      /^\s+\d+:1: keylime_tls_ca_cert: unknown key; did you mean "keylime_tls_ca_cert_file"\?$/m,
    )
    expect(stdout + stderr).toMatch(/^\s+\d+:\d+: request_timeout: the string "soon" is not a duration/m)
    expect(stdout + stderr).toMatch(/^\s+keylime_tls_key_file \/no\/such\.key: does not exist/m)
  })
})

describe("the block of the operator's production server", () => {
  it('loads unchanged, paths and checksum aside', async () => {
    const data = {
      keylime_verifier_host: 'verifier.keylime.funlab.casa',
      keylime_verifier_port: '443',
      keylime_registrar_host: 'registrar.keylime.funlab.casa',
      keylime_registrar_port: '443',
      tpm_policy: '{"mask": "0x90"}',
    }
    await withServer({ name: 'production', plugin: { data } }, async (server) => {
      const log = server.process().readLog()
      expect(linesOf(log, /msg="Plugin loaded" external=true/)).toHaveLength(1)
    })
  })
})

describe('ek_ca_path', () => {
  let other: Swtpm
  beforeAll(async () => {
    const dir = join(rig.dir, 'other-tpm')
    mkdirSync(dir, { mode: 0o700 })
    other = await Swtpm.start(rig.processes, { dir, name: 'other-swtpm' })
  })

  it('admits a TPM whose EK certificate chains to it, with the selector that says so [T13]', async () => {
    const data = { ...allowed, ek_ca_path: caFolder('its-makers', rig.tpm) }
    await withServer({ name: 'ek-known', plugin: { data } }, async (server) => {
      const agent = await rig.newAgent(server, { name: 'ek-known' })
      await startAndAttest(agent)
      const shown = await server.agentShow(rig.spiffeId)
      expect(shown?.selectors.filter(({ value }) => /^ek:ca:[0-9a-f:]+/.test(value))).not.toEqual([])
      await agent.stop()
    })
  })

  it('refuses one made by somebody else [T13]', async () => {
    const data = { ...allowed, ek_ca_path: caFolder('other-makers', other) }
    await withServer({ name: 'ek-unknown', plugin: { data } }, async (server) => {
      const agent = await rig.newAgent(server, { name: 'ek-unknown' })
      const refusal = await startAndBeRefused(agent)
      expect(refusal).toEqual({
        code: 'FailedPrecondition',
        message: expect.stringMatching(/KL-EK-ISSUER-UNKNOWN/) as string,
      })
      await agent.stop()
    })
  })
})
