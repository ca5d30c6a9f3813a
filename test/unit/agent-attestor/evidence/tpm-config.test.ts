import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildContext } from '../../../../agent-attestor/context.ts'
import type { BuildContext } from '../../../../plugins/spire-sdk/index.ts'
import { writeKeyFile } from '../../../fakes/key-file.ts'
import { newRecordingLog } from '../recording-log.ts'

const keys = {
  publicArea: Buffer.from('0003010203', 'hex'),
  privateArea: Buffer.from('000101', 'hex'),
  ekHash: 'ab'.repeat(32),
}
let dir: string
let socket: string
let keyFile: string
let server: Server

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tower-tpm-config-'))
  socket = join(dir, 'tpm.sock')
  server = createServer()
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  keyFile = join(dir, 'agent_data.json')
  writeKeyFile(keyFile, keys)
})

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
  rmSync(dir, { recursive: true, force: true })
})

async function build(extra = '', { device = socket, file = keyFile } = {}) {
  const { log, lines } = newRecordingLog()
  const hcl = `evidence = "tpm"\ntpm_path = ${JSON.stringify(device)}\nkeylime_agent_data = ${JSON.stringify(file)}\n${extra}`
  const context = { mode: 'configure', log, hosts: {} as BuildContext['hosts'] } as const
  const { problems, warnings = [], config } = buildContext({ hcl, trustDomain: 'example.org' }, context)
  await config?.close()
  return { problems, warnings, config, lines }
}

describe('buildContext with evidence = "tpm"', () => {
  it('needs no certificate, and opens nothing yet', async () => {
    const connected: unknown[] = []
    server.once('connection', (client) => connected.push(client))
    const { problems, warnings, config, lines } = await build()
    expect([problems, warnings, lines]).toEqual([[], [], []])
    expect(config?.evidence.name).toBe(`tpm ${socket}`)
    expect(connected).toEqual([])
  })

  it('warns of connection keys of the Keylime agent, and does not read their files', async () => {
    const { problems, warnings } = await build(
      'keylime_agent_use_tls = true\nkeylime_agent_ca_cert = "/nowhere"\nkeylime_agent_port = 9003',
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      'keylime_agent_port, keylime_agent_use_tls, keylime_agent_ca_cert: without effect while evidence is "tpm"',
    ])
  })

  it('takes a key file that is not there yet for a Keylime agent that has not started', async () => {
    const file = join(dir, 'none.json')
    const { problems, warnings } = await build('', { file })
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      `keylime_agent_data ${file} does not exist: the keylime agent has not started yet, or its agent_data_path is another (keylime_agent_data)`,
    ])
  })

  it('warns of a key file that does not parse: it may be being written', async () => {
    const file = join(dir, 'half.json')
    writeFileSync(file, '{')
    const { problems, warnings } = await build('', { file })
    expect(problems).toEqual([])
    expect(warnings).toEqual([
      expect.stringMatching(/^keylime_agent_data \S+half\.json: it is not the file of a keylime/),
    ])
  })

  it('refuses a device that is not there, or is none', async () => {
    expect((await build('', { device: join(dir, 'tpm0') })).problems).toEqual([
      `tpm_path ${join(dir, 'tpm0')} cannot be looked at (ENOENT): see "ls -l /dev/tpm*" and the firmware settings; under systemd PrivateDevices=yes hides it, in a container it must be passed in`,
    ])
    expect((await build('', { device: keyFile })).problems).toEqual([
      `tpm_path ${keyFile} is neither a character device nor a unix socket`,
    ])
  })

  it('reads the password of the endorsement hierarchy, and warns when every user may', async () => {
    const file = join(dir, 'auth')
    writeFileSync(file, 'hush\n')
    chmodSync(file, 0o644)
    const key = `tpm_endorsement_auth_file = ${JSON.stringify(file)}`
    expect((await build(key)).warnings).toEqual([
      `tpm_endorsement_auth_file ${file} may be read by every user: chmod o-r it`,
    ])
    chmodSync(file, 0o600)
    expect(await build(key)).toMatchObject({ problems: [], warnings: [] })
    expect((await build('tpm_endorsement_auth_file = "/nowhere/auth"')).problems).toEqual([
      'tpm_endorsement_auth_file /nowhere/auth does not exist: there is no /nowhere',
    ])
  })

  it('refuses a source of evidence that there is not', async () => {
    const { log } = newRecordingLog()
    const context = { mode: 'validate', log, hosts: {} as BuildContext['hosts'] } as const
    const { problems } = buildContext({ hcl: 'evidence = "TPM"', trustDomain: 'example.org' }, context)
    expect(problems).toEqual([expect.stringMatching(/^1:12: evidence: .*"keylime-agent".*"tpm"/)])
  })

  it.skipIf(process.getuid?.() !== 0 || spawnSync('setpriv', ['--version']).error !== undefined)(
    'names user, group and command for what this user may not use (needs root and setpriv) [tpm:device:permissions]',
    () => {
      chmodSync(dir, 0o755)
      const device = join(dir, 'tpmrm0')
      expect(spawnSync('mknod', ['-m', '0660', device, 'c', '1', '3']).status).toBe(0)
      chmodSync(keyFile, 0o600)
      const source = join(import.meta.dirname, '../../../../agent-attestor/evidence/tpm-config.ts')
      const paths = JSON.stringify({ device, keyFile })
      const program = `const { lookAtTpm } = await import(${JSON.stringify(source)}); console.log(JSON.stringify(lookAtTpm(${paths}).problems))`
      const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
      const run = spawnSync('setpriv', [...nobody, process.execPath, '-e', program], { encoding: 'utf8' })
      expect(JSON.parse(run.stdout)).toEqual([
        `tpm_path ${device} may not be used by user nobody: add it to group root (usermod -aG root nobody) and restart the spire agent; under systemd also DeviceAllow=${device} rw`,
        expect.stringMatching(
          /^keylime_agent_data \S+ cannot be read: it belongs to root:root .*: grant it with "setfacl -m u:nobody:r \S+", and :x on folders that do not let us in$/,
        ),
      ])
    },
  )
})
