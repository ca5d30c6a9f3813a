/**
 * OpenTofu judges go-plugin: a provider in TypeScript, loaded by a host that nobody here wrote.
 *
 * OpenTofu takes minutes to build, so it is judge only when asked for: `make conformance TOFU=1`.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { serveReattachable } from '../../../plugins/go-plugin/serve/reattach.ts'
import { requireOpenTofu } from '../../lab/parts/opentofu.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { membersOf } from '../../lab/processes/process-group.ts'
import { PAGES_VARIABLE, PROVIDER } from './provider.ts'
import { bundleProvider, PROVIDER_SOURCE, Workspace } from './workspace.ts'

const wanted = process.env['TOFU'] === '1'
const skipped = wanted ? '' : ' (skipped: OpenTofu takes minutes to build; make conformance TOFU=1 runs it)'

let providers: string
let tofu: string
let work: Workspace

/** Writes a block of one page. */
const page = (name: string, text: string): string => `resource "omens_page" "${name}" {\n  text = "${text}"\n}\n`
const output = (name: string, value: string): string => `output "${name}" {\n  value = ${value}\n}\n`

const FIRST = page('first', 'hello')
const SECOND = page('second', `after \${omens_page.first.id}`)
const SHA256_OF_HELLO = createHash('sha256').update('hello').digest('hex')
const NO_CHANGES = 0
const CHANGES = 2

describe.skipIf(!wanted)(`OpenTofu${skipped}`, () => {
  beforeAll(async () => {
    tofu = await requireOpenTofu(process.stderr)
    providers = mkdtempSync(join(tmpdir(), 'providers-'))
    await bundleProvider(providers)
  }, 1_900_000)

  afterAll(() => rmSync(providers, { recursive: true, force: true }))

  beforeEach(() => {
    work = new Workspace(tofu, providers)
  })

  afterEach(() => work.remove())

  describe('a plan', () => {
    it('is valid, and knows what is unknown between two resources [opentofu:values:unknown]', async () => {
      work.configure(FIRST, SECOND)
      expect(await work.json(['validate', '-json'])).toMatchObject({ valid: true, error_count: 0 })
      await work.run(['plan', '-out=plan'])
      const { resource_changes: changes } = (await work.json(['show', '-json', 'plan'])) as {
        resource_changes: unknown
      }
      expect(changes).toMatchObject([
        {
          address: 'omens_page.first',
          change: { after: { text: 'hello' }, after_unknown: { id: true, sha256: true } },
        },
        { address: 'omens_page.second', change: { after: {}, after_unknown: { id: true, text: true } } },
      ])
    })

    it('is applied, and then there is nothing to change [opentofu:resource:apply]', async () => {
      work.configure(FIRST, SECOND, output('first', 'omens_page.first'))
      expect((await work.apply()).stdout).toContain('2 added, 0 changed, 0 destroyed')
      const { first } = (await work.outputs()) as { first: { id: string } }
      expect(first).toEqual({ id: expect.any(String) as string, text: 'hello', sha256: SHA256_OF_HELLO })
      expect(work.texts()).toEqual([`after ${first.id}`, 'hello'])
      const again = await work.run(['plan', '-detailed-exitcode', '-no-color'])
      expect({ code: again.code, text: again.stdout }).toEqual({
        code: NO_CHANGES,
        text: expect.stringContaining('No changes.') as string,
      })
    })

    it('reads a data source [opentofu:data:read]', async () => {
      work.configure('data "omens_moon" "now" {}', output('phase', 'data.omens_moon.now.phase'))
      await work.apply()
      expect(await work.outputs()).toEqual({ phase: 'waxing' })
    })

    it('calls a function, and points at the argument that it refuses [opentofu:function:call]', async () => {
      work.configure(output('loud', 'provider::omens::shout("hush")'))
      await work.apply()
      expect(await work.outputs()).toEqual({ loud: 'HUSH' })
      work.configure(output('loud', 'provider::omens::shout("")'))
      const { code, stderr } = await work.run(['plan', '-no-color'])
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('Invalid value for "text" parameter: nothing to shout.') as string,
      })
    })

    it('shows a refusal at the line of its attribute [opentofu:diagnostic:attribute]', async () => {
      work.configure(page('first', 'forbidden'))
      const { diagnostics } = (await work.json(['validate', '-json'])) as { diagnostics: { severity: string }[] }
      expect(diagnostics.filter(({ severity }) => severity === 'error')).toMatchObject([
        {
          summary: 'Forbidden text',
          detail: 'This text may not be written.',
          address: 'omens_page.first',
          snippet: { code: '  text = "forbidden"', highlight_start_offset: 9, highlight_end_offset: 20 },
        },
      ])
    })

    it('finds what was changed or removed behind its back, and mends it [opentofu:resource:drift]', async () => {
      work.configure(FIRST)
      await work.apply()
      const [file = ''] = readdirSync(work.pages)
      writeFileSync(join(work.pages, file), 'scribbled')
      expect((await work.run(['plan', '-detailed-exitcode'])).code).toBe(CHANGES)
      expect((await work.apply()).stdout).toContain('0 added, 1 changed, 0 destroyed')
      expect(work.texts()).toEqual(['hello'])
      rmSync(join(work.pages, file))
      expect((await work.apply()).stdout).toContain('1 added, 0 changed, 0 destroyed')
      expect(work.texts()).toEqual(['hello'])
    })

    it('takes over what was there before, and destroys it [opentofu:resource:import]', async () => {
      writeFileSync(join(work.pages, 'old'), 'hello')
      work.configure(FIRST, output('id', 'omens_page.first.id'))
      const missing = await work.run(['import', '-no-color', 'omens_page.first', 'none'])
      expect({ code: missing.code, stderr: missing.stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('There is no page none.') as string,
      })
      expect((await work.run(['import', 'omens_page.first', 'old'])).code).toBe(0)
      expect((await work.apply()).stdout).toContain('0 added, 0 changed, 0 destroyed')
      expect(await work.outputs()).toEqual({ id: 'old' })
      expect((await work.run(['destroy', '-auto-approve', '-no-color'])).stdout).toContain('1 destroyed')
      expect(work.texts()).toEqual([])
    })
  })

  describe('the process of a provider', () => {
    it('tells OpenTofu what a handler threw, and harms no other resource [opentofu:life:throws]', async () => {
      work.configure(FIRST, page('second', 'throw'))
      const { code, stderr } = await work.run(['apply', '-auto-approve', '-no-color'])
      expect({ code, stderr: stderr.replaceAll(/\s+/g, ' ') }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/Error: Plugin error .*code = Internal desc = the page tore/) as string,
      })
      expect(work.texts()).toEqual(['hello'])
      expect(work.logged('Handler failed')).toEqual([expect.stringMatching(/\[ERROR\].*the page tore/)])
      expect(work.processes()).toEqual([])
    })

    it('that is killed in an apply is reported, and the next apply works [opentofu:life:killed]', async () => {
      work.configure(page('first', 'kill'))
      const { code, stderr } = await work.run(['apply', '-auto-approve', '-no-color'])
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('Error: Plugin did not respond') as string,
      })
      expect(work.texts()).toEqual([])
      work.configure(FIRST)
      await work.apply()
      expect(work.texts()).toEqual(['hello'])
    })

    it.each([
      { tls: true, env: {} },
      { tls: false, env: { TF_DISABLE_PLUGIN_TLS: '1' } },
    ])('is configured and used, mutual TLS: $tls [opentofu:connection:tls]', async ({ tls, env }) => {
      work.configure('provider "omens" {\n  greeting = "hail"\n}\n', FIRST)
      await work.apply(env)
      expect(work.texts()).toEqual(['hello'])
      const lines = work.logged('Configured')
      expect(lines).not.toEqual([])
      for (const part of ['[INFO]', 'greeting=hail', `tls=${tls}`]) {
        expect(lines.filter((line) => !line.includes(part))).toEqual([])
      }
    })

    it('prints into the log of OpenTofu [opentofu:output:stdout]', async () => {
      work.configure(FIRST)
      await work.run(['validate'])
      expect(work.logged(`${PROVIDER_SOURCE}:stdout="printed by the provider"`)).not.toEqual([])
    })

    it.each([
      { whom: 'OpenTofu', group: false },
      { whom: 'the whole process group', group: true },
    ])('is asked to stop when SIGINT comes to $whom, and ends [opentofu:life:interrupted]', async ({ group }) => {
      work.configure(page('first', 'wait'))
      const command = work.start(['apply', '-auto-approve', '-no-color'])
      await pollUntil('the apply', () => work.logged('Waiting to be stopped').length > 0)
      const living = membersOf(command.pid)
      expect(new Set(living)).toEqual(new Set(work.processes()))
      expect(living).toHaveLength(2)
      process.kill(group ? -command.pid : command.pid, 'SIGINT')
      const { code, stdout, stderr } = await command.ended
      expect({ code, stdout, stderr }).toEqual({
        code: 1,
        stdout: expect.stringContaining('Gracefully shutting down') as string,
        stderr: expect.stringContaining('the page was not written: stopped') as string,
      })
      expect(work.logged('Stop asked for')).toHaveLength(1)
      expect(work.processes()).toEqual([])
      expect(work.texts()).toEqual([])
    })
  })

  it('works with a provider that serves already, and leaves it so [opentofu:life:reattach]', async () => {
    vi.stubEnv(PAGES_VARIABLE, work.pages)
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    const server = await serveReattachable(PROVIDER, () => undefined)
    const { protocol, protocolVersion, network, address, pid, test } = server.reattach
    const addr = { Network: network, String: address }
    const at = { Protocol: protocol, ProtocolVersion: protocolVersion, Pid: pid, Test: test, Addr: addr }
    const env = { TF_REATTACH_PROVIDERS: JSON.stringify({ [PROVIDER_SOURCE]: at }) }
    try {
      work.configure(FIRST)
      await work.apply(env)
      expect(work.texts()).toEqual(['hello'])
      work.configure(page('first', 'again'))
      await work.apply(env)
      expect(work.texts()).toEqual(['again'])
      expect(work.logged('starting plugin')).toEqual([])
      expect(printed).toHaveBeenCalledWith('printed by the provider\n')
    } finally {
      await server.shutdown()
      printed.mockRestore()
      vi.unstubAllEnvs()
    }
  })
})
