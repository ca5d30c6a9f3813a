/**
 * OpenBao judges go-plugin: a secrets engine and a database plugin in TypeScript, loaded by a host that nobody here wrote.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pollUntil } from '../../lab/processes/poll.ts'
import { BaoDevServer } from './dev-server.ts'

let bao: BaoDevServer

beforeAll(async () => {
  bao = await BaoDevServer.start()
  for (const path of ['one', 'two']) {
    await bao.must('POST', `sys/mounts/${path}`, { type: 'omens' })
  }
}, 600_000)

afterAll(() => bao.stop())

/** Reads a path and tells which process answered. */
async function servedBy(path: string): Promise<unknown> {
  return (await bao.ask('GET', path)).data['served_by']
}

/** Reads the "database": names and passwords. */
function users(): Record<string, string> {
  return JSON.parse(readFileSync(join(bao.folder, 'users.json'), 'utf8')) as Record<string, string>
}

describe('a secrets engine', () => {
  it('serves every mount from one process, over mutual TLS [openbao:mounts:one-process]', async () => {
    for (const mount of ['one', 'two']) await bao.ask('POST', `${mount}/who`, { mount })
    expect((await bao.ask('GET', 'one/who')).data).toMatchObject({ mount: 'one' })
    expect((await bao.ask('GET', 'two/who')).data).toMatchObject({ mount: 'two' })
    expect(await servedBy('one/who')).toBe(await servedBy('two/who'))
    expect(bao.plugins()).toEqual([await servedBy('one/who')])
  })

  it('writes, reads, lists and deletes through the brokered storage [openbao:broker:storage]', async () => {
    for (const name of ['a', 'b']) await bao.ask('POST', `one/things/${name}`, { name })
    expect((await bao.ask('LIST', 'one/things/')).data).toEqual({ keys: ['a', 'b'] })
    expect((await bao.ask('GET', 'one/things/a')).data).toMatchObject({ name: 'a' })
    expect(await bao.ask('DELETE', 'one/things/a')).toMatchObject({ status: 204 })
    expect(await bao.ask('GET', 'one/things/a')).toMatchObject({ status: 404 })
    expect(await bao.ask('GET', 'two/things/b')).toMatchObject({ status: 404 })
  })

  it('opens the paths it calls open, and no other, to callers without a token [openbao:paths:unauthenticated]', async () => {
    await bao.ask('POST', 'one/open/door', { open: true })
    expect(await bao.ask('GET', 'one/open/door', undefined, '')).toMatchObject({ status: 200, data: { open: true } })
    expect(await bao.ask('GET', 'one/who', undefined, '')).toMatchObject({ status: 403 })
  })

  it('lets a policy tell create from update by what exists [openbao:acl:existence-check]', async () => {
    await bao.ask('POST', 'sys/policies/acl/create-only', { policy: 'path "one/*" { capabilities = ["create"] }' })
    const { data } = await bao.ask('POST', 'auth/token/create', { policies: ['create-only'] })
    const token = String(data['client_token'])
    expect(await bao.ask('POST', 'one/fresh', { n: 1 }, token)).toMatchObject({ status: 204 })
    expect(await bao.ask('POST', 'one/fresh', { n: 2 }, token)).toMatchObject({ status: 403 })
  })

  it('asks OpenBao about itself over the broker [openbao:broker:system-view]', async () => {
    expect((await bao.ask('GET', 'one/system')).data).toEqual({
      ttl_seconds: 2_764_800,
      version: '2.7.2',
      transactional: true,
    })
  })

  it('takes and gives back a value of 20 MB [openbao:messages:large]', async () => {
    const text = 'x'.repeat(20 * 1024 * 1024)
    expect(await bao.ask('POST', 'one/large', { text })).toMatchObject({ status: 204 })
    expect((await bao.ask('GET', 'one/large')).data['text']).toBe(text)
    await bao.ask('DELETE', 'one/large')
  })

  it('lives through an error nobody caught, with one line in the log [openbao:life:stray-error]', async () => {
    const before = await servedBy('one/who')
    await bao.ask('POST', 'one/stray', {})
    const lines = (): readonly string[] => bao.logged('Uncaught exception')
    await pollUntil('the line', () => lines().length > 0, { deadlineMs: 10_000, intervalMs: 20 })
    expect(lines()).toEqual([expect.stringMatching(/\[ERROR\].*error="stray error"/)])
    expect(await servedBy('one/who')).toBe(before)
  })

  it('is started again after it was killed inside a request, for every mount [openbao:life:killed]', async () => {
    const before = await servedBy('one/who')
    const { status, errors } = await bao.ask('POST', 'one/kill', {})
    expect({ status, error: errors.join() }).toEqual({
      status: 500,
      error: expect.stringContaining('error reading from server: EOF') as string,
    })
    const after = await servedBy('one/who')
    expect(after).not.toBe(before)
    expect(await servedBy('two/who')).toBe(after)
    expect(bao.plugins()).toEqual([after])
  })

  it('takes many writes at once [openbao:calls:concurrent]', async () => {
    const writes = Array.from({ length: 40 }, (_, n) => bao.ask('POST', `two/many/${n}`, { n }))
    expect((await Promise.all(writes)).filter(({ status }) => status !== 204)).toEqual([])
    expect((await bao.ask('LIST', 'two/many/')).data['keys']).toHaveLength(40)
  })

  it('is reloaded when told, and forgets nothing [openbao:life:reload]', async () => {
    const before = await servedBy('one/who')
    expect((await bao.ask('PUT', 'sys/plugins/reload/backend', { plugin: 'omens' })).status).toBeLessThan(300)
    expect(await servedBy('one/who')).not.toBe(before)
    expect((await bao.ask('GET', 'two/who')).data).toMatchObject({ mount: 'two' })
  })
})

describe('a database plugin', () => {
  beforeAll(async () => {
    await bao.ask('POST', 'sys/mounts/database', { type: 'database' })
    const connection = {
      plugin_name: 'omens-database',
      users_file: join(bao.folder, 'users.json'),
      username: 'root',
      password: 'first',
      allowed_roles: '*',
    }
    await bao.must('POST', 'database/config/file', connection)
    const role = { db_name: 'file', creation_statements: 'none', default_ttl: '3s', max_ttl: '3s' }
    await bao.must('POST', 'database/roles/short', role)
  })

  it('makes users that expire with their lease [openbao:database:leases]', async () => {
    const made = [await bao.ask('GET', 'database/creds/short'), await bao.ask('GET', 'database/creds/short')]
    const names = made.map(({ data }) => String(data['username']))
    expect(new Set(names).size).toBe(2)
    expect(names.map((name) => users()[name])).toEqual(made.map(({ data }) => data['password']))
    const gone = (): boolean => names.every((name) => users()[name] === undefined)
    await pollUntil('the users to be deleted', gone, { deadlineMs: 30_000, intervalMs: 100 })
  })

  it('changes the password of the root user [openbao:database:rotate-root]', async () => {
    expect((await bao.ask('POST', 'database/rotate-root/file')).errors).toEqual([])
    expect(users()['root']).toMatch(/^.{15,}$/)
  })

  it('shows its version, and speaks the newer protocol [openbao:database:version]', async () => {
    const { data } = await bao.ask('GET', 'sys/plugins/catalog')
    expect(data['detailed']).toContainEqual(
      expect.objectContaining({ name: 'omens-database', type: 'database', version: 'v0.2.0' }),
    )
    expect(bao.logged('protocol_version').join()).toContain('protocol_version=6')
  })

  it('says what is wrong with a configuration [openbao:database:refusal]', async () => {
    const { status, errors } = await bao.ask('POST', 'database/config/none', { plugin_name: 'omens-database' })
    expect({ status, error: errors.join() }).toEqual({
      status: 400,
      error: expect.stringContaining('users_file is required') as string,
    })
  })
})

describe('at the end', () => {
  it('an unmounted engine leaves, and none of its processes stays [openbao:life:unmount]', async () => {
    for (const mount of ['one', 'two', 'database']) {
      expect(await bao.ask('DELETE', `sys/mounts/${mount}`)).toMatchObject({ status: 204 })
    }
    await pollUntil('the plugins to end', () => bao.plugins().length === 0, { deadlineMs: 20_000, intervalMs: 50 })
  })
})
