import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TpmDeviceError } from '../../../plugins/tpm-device/device-error.ts'
import { currentUser, groupName, openTpm } from '../../../plugins/tpm-device/open-tpm.ts'

let dir: string

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tower-open-tpm-'))
})

afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function outcome(path: string, setting?: string): Promise<string> {
  try {
    const transport = await openTpm({ path, ...(setting !== undefined && { setting }) })
    await transport.close()
    return 'open'
  } catch (error) {
    return error instanceof TpmDeviceError ? `${error.code}: ${error.message}` : `untyped ${String(error)}`
  }
}

describe('openTpm', () => {
  it('says where to look for a device that is not there [tpm:device:permissions]', async () => {
    const path = join(dir, 'none')
    expect(await outcome(path, 'tpm_path')).toBe(
      `TPM_MISSING: tpm ${path} does not exist: look with "ls -l /dev/tpm*", enable the TPM in the firmware settings, or set tpm_path; under systemd PrivateDevices=yes hides it, in a container it must be passed in`,
    )
  })

  it('refuses what is neither a device nor a socket', async () => {
    const path = join(dir, 'file')
    writeFileSync(path, '')
    expect(await outcome(path)).toBe(
      `TPM_MISSING: tpm ${path} is neither a character device nor a unix socket: correct tpm_path`,
    )
  })

  it('names a socket that nobody listens on', async () => {
    const path = join(dir, 'dead.sock')
    // Only a process that dies leaves its socket behind.
    const listen = "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))"
    spawnSync(process.execPath, ['-e', listen, path])
    expect(await outcome(path)).toBe(`TPM_MISSING: tpm ${path}: nothing listens on this socket`)
  })

  it('opens a character device, and a socket', async () => {
    expect(await outcome('/dev/null')).toBe('open')
    const path = join(dir, 'live.sock')
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    expect(await outcome(path)).toBe('open')
    await new Promise((resolve) => server.close(resolve))
  })

  it.skipIf(process.getuid?.() !== 0 || spawnSync('setpriv', ['--version']).error !== undefined)(
    'names user, owner, group and what to do when the device may not be opened (needs root and setpriv) [tpm:device:permissions]',
    () => {
      const path = join(dir, 'tpmrm0')
      chmodSync(dir, 0o755)
      // A device of our own: mknod as root, opened as nobody.
      const made = spawnSync('mknod', ['-m', '0660', path, 'c', '1', '3'])
      expect(made.status).toBe(0)
      const source = join(import.meta.dirname, '../../../plugins/tpm-device/open-tpm.ts')
      const program = `const { openTpm } = await import(${JSON.stringify(source)}); try { await openTpm({ path: ${JSON.stringify(path)} }) } catch (error) { console.log(error.code + ': ' + error.message) }`
      const work = join(dir, 'work')
      mkdirSync(work)
      const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
      const run = spawnSync('setpriv', [...nobody, process.execPath, '-e', program], { encoding: 'utf8', cwd: work })
      const user = 'nobody'
      expect(`${run.stdout}${run.stderr}`.trim()).toBe(
        `TPM_DENIED: user ${user} may not open tpm ${path} (owner uid 0, group root, mode 0660): add the user to group root (usermod -aG root ${user}) and restart this service; under systemd also DeviceAllow=${path} rw`,
      )
    },
  )

  it('names groups and the user, or gives their numbers', () => {
    expect(groupName(0)).toBe('root')
    expect(groupName(4_000_000)).toBe('4000000')
    expect(currentUser()).not.toBe('')
  })
})
