import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { array, assert, property, string, stringMatching } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  activateAuthority,
  authorityStates,
  banAgent,
  countAgents,
  createEntries,
  deleteEntries,
  evictAgent,
  getAgent,
  getBundle,
  groupName,
  isServing,
  listAgents,
  listEntries,
  prepareAuthority,
  reparentEntries,
  revokeAuthority,
  SpireApiError,
  type SpireCallSeen,
  SpireConnection,
  serverInfo,
  spiffeIdParts,
  taintAuthority,
  userName,
} from '../../../plugins/spire-api/index.ts'
import { readPages } from '../../../plugins/spire-api/pages.ts'
import { spiffeIdText } from '../../../plugins/spire-api/spiffe-ids.ts'
import { FakeSpireServer, fakeEntry } from '../../fakes/fake-spire-server.ts'
import { newTestPki } from '../../fakes/pki.ts'

const NODE = 'spiffe://example.org/spire/agent/keylime/node-1'

let folder: string
let server: FakeSpireServer
let connection: SpireConnection
let seen: SpireCallSeen[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'spire-api-'))
  server = await new FakeSpireServer(join(folder, 'api.sock')).start()
  seen = []
  connection = new SpireConnection({
    socketPath: server.socketPath,
    timeoutMs: 2_000,
    observe: (call) => seen.push(call),
  })
})

afterEach(() => {
  connection.close()
  server.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('the agents of a SPIRE server', () => {
  it('are listed whole over pages of 500, without selectors unless they are asked for', async () => {
    for (let node = 0; node < 1_201; node += 1) {
      server.attest(`node-${node}`, { selectors: [{ type: 'keylime', value: 'policy:pcr' }] })
    }
    const agents = await listAgents(connection)
    expect(agents.map(({ id }) => id)).toEqual([...server.agents.keys()])
    expect(agents.every(({ selectors }) => selectors.length === 0)).toBe(true)
    expect(server.callsOf('ListAgents')).toHaveLength(3)
    const rich = await listAgents(connection, { withSelectors: true })
    expect(rich[1_200]?.selectors).toEqual([{ type: 'keylime', value: 'policy:pcr' }])
    expect(await countAgents(connection)).toBe(1_201)
  })

  it('are filtered by attestor and ban', async () => {
    server.attest('node-1')
    server.attest('node-2', { banned: true, x509svidSerialNumber: '' })
    server.attest('spiffe://example.org/spire/agent/join_token/t')
    expect((await listAgents(connection, { attestationType: 'keylime' })).map(({ id }) => id)).toEqual([
      NODE,
      'spiffe://example.org/spire/agent/keylime/node-2',
    ])
    const [banned, ...none] = await listAgents(connection, { banned: true })
    expect(banned).toMatchObject({ banned: true, serialNumber: '', attestationType: 'keylime', canReattest: true })
    expect(none).toEqual([])
  })

  it('are read, banned and evicted one by one; an unknown one is no error', async () => {
    server.attest('node-1', { x509svidSerialNumber: '17', x509svidExpiresAt: 1_900_000_000n, agentVersion: '1.15.0' })
    expect(await getAgent(connection, NODE)).toEqual({
      id: NODE,
      attestationType: 'keylime',
      serialNumber: '17',
      expiresAt: 1_900_000_000,
      banned: false,
      canReattest: true,
      version: '1.15.0',
      selectors: [],
    })
    expect(await banAgent(connection, NODE)).toBe(true)
    expect(await banAgent(connection, NODE)).toBe(true)
    expect(await getAgent(connection, NODE)).toMatchObject({ banned: true, serialNumber: '' })
    expect(await evictAgent(connection, NODE)).toBe(true)
    expect(await evictAgent(connection, NODE)).toBe(false)
    expect(await banAgent(connection, NODE)).toBe(false)
    expect(await getAgent(connection, NODE)).toBeUndefined()
    expect(seen.map(({ operation, failure }) => [operation, failure])).toContainEqual(['BanAgent', 'SPIRE_NOT_FOUND'])
  })

  it('are not asked about by what is no SPIFFE ID', async () => {
    await expect(banAgent(connection, 'node-1')).rejects.toMatchObject({
      code: 'SPIRE_FAILED',
      message: '"node-1" is not a SPIFFE ID',
    })
    expect(server.calls).toEqual([])
  })
})

describe('the entries of a SPIRE server', () => {
  const spec = {
    spiffeId: 'spiffe://example.org/web',
    parentId: NODE,
    selectors: [{ type: 'unix', value: 'uid:1000' }],
    x509SvidTtl: 300,
    jwtSvidTtl: 0,
    hint: 'web',
    admin: false,
    downstream: false,
    storeSvid: false,
    dnsNames: ['web.example.org'],
    federatesWith: [],
    expiresAt: 0,
  }

  it('are made, listed, moved and deleted, each with a result of its own', async () => {
    const [made] = await createEntries(connection, [spec])
    expect(made).toEqual({ code: 0, message: 'OK', id: 'entry-1' })
    server.entries.set('e2', fakeEntry('e2', 'spiffe://example.org/db', 'spiffe://example.org/alias', ['unix:uid:0']))
    expect(await listEntries(connection, { parentId: NODE })).toEqual([
      { ...spec, id: 'entry-1', revision: 0, createdAt: 1_700_000_000 },
    ])
    expect((await listEntries(connection)).map(({ id }) => id)).toEqual(['entry-1', 'e2'])
    expect(await reparentEntries(connection, ['e2', 'gone'], NODE)).toEqual([
      { code: 0, message: 'OK', id: 'e2' },
      { code: 5, message: 'entry not found', id: '' },
    ])
    expect((await listEntries(connection, { parentId: NODE })).map(({ id, spiffeId }) => [id, spiffeId])).toEqual([
      ['entry-1', 'spiffe://example.org/web'],
      ['e2', 'spiffe://example.org/db'],
    ])
    expect(await deleteEntries(connection, ['e2', 'gone'])).toEqual([
      { code: 0, message: 'OK', id: 'e2' },
      { code: 5, message: 'entry not found', id: 'gone' },
    ])
  })
})

describe('the server itself', () => {
  it('says what it has, whether it serves, and its bundle', async () => {
    server.attest('node-1')
    using pki = newTestPki()
    server.authorities = [{ asn1: (await pki.root('authority')).x509.raw, tainted: true }]
    expect(await serverInfo(connection)).toEqual({
      id: 'spiffe://example.org/spire/server',
      uptimeSeconds: 42,
      agents: 1,
      entries: 0,
      federatedBundles: 0,
      svidExpiresAt: 2_000_000_000,
    })
    expect(await isServing(connection)).toBe(true)
    const bundle = await getBundle(connection)
    expect(bundle).toMatchObject({ trustDomain: 'example.org', sequenceNumber: 7n, authorities: [{ tainted: true }] })
    server.authorities = [{ asn1: Buffer.from('no certificate'), tainted: false }]
    await expect(getBundle(connection)).rejects.toMatchObject({
      code: 'SPIRE_BAD_ANSWER',
      message: `spire server ${server.socketPath}: an authority of the bundle is not a certificate`,
    })
  })

  it('rotates its authority', async () => {
    const prepared = await prepareAuthority(connection)
    expect(await authorityStates(connection)).toMatchObject({ active: { id: 'a0' }, prepared: { id: prepared.id } })
    await activateAuthority(connection, prepared.id)
    expect(await authorityStates(connection)).toMatchObject({ active: { id: 'a1' }, old: { id: 'a0' } })
    expect(await taintAuthority(connection, 'a0')).toEqual({ id: 'a0', expiresAt: 2_000_000_000, upstreamId: '' })
    await revokeAuthority(connection, 'a0')
    expect((await authorityStates(connection)).old).toBeUndefined()
    server.failures.set('TaintX509Authority', [status.FAILED_PRECONDITION, 'local authority is upstream'])
    await expect(taintAuthority(connection, 'a0')).rejects.toMatchObject({
      code: 'SPIRE_PRECONDITION',
      message: `spire server ${server.socketPath}: TaintX509Authority of authority a0: local authority is upstream`,
    })
  })
})

describe('a call that fails', () => {
  it('says that the socket or its folder is missing', async () => {
    const missing = new SpireConnection({ socketPath: join(folder, 'nothing.sock') })
    const error = await failing(listAgents(missing))
    expect([error.code, error.message]).toEqual([
      'SPIRE_SOCKET_MISSING',
      `spire server ${folder}/nothing.sock: there is no such socket; is spire-server running, and is this the socket_path of its configuration?`,
    ])
    missing.close()
    const lost = new SpireConnection({ socketPath: join(folder, 'no/api.sock') })
    expect((await failing(listAgents(lost))).message).toContain(`there is no folder ${folder}/no`)
    lost.close()
  })

  it.runIf(process.getuid?.() === 0)('names user, group and mode when the file system lets us not in', async () => {
    const closed = join(folder, 'private')
    mkdirSync(closed)
    const inside = await new FakeSpireServer(join(closed, 'api.sock')).start()
    chownSync(closed, 0, 0)
    chmodSync(closed, 0o750)
    chmodSync(folder, 0o755)
    const error = await asNobody(() => failing(listAgents(new SpireConnection({ socketPath: inside.socketPath }))))
    inside.stop()
    expect(error.code).toBe('SPIRE_SOCKET_FORBIDDEN')
    expect(error.message).toMatch(
      /^spire server \S+: user \S+ \(65534\) is not permitted: \S+\/private belongs to root:root with mode 0750; run as root or a member of group root: whoever may open it can mint any identity$/,
    )
  })

  it('says that nobody listens behind a socket that is there', async () => {
    const path = join(folder, 'stale.sock')
    const listen = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('listening'))`
    const killed = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(killed.stdout, 'data')
    killed.kill('SIGKILL')
    await once(killed, 'exit')
    const stale = new SpireConnection({ socketPath: path })
    const error = await failing(listAgents(stale))
    stale.close()
    expect([error.code, error.message]).toEqual([
      'SPIRE_UNREACHABLE',
      `spire server ${path}: the socket is there but nobody listens; spire-server has ended: start it`,
    ])
  })

  it('ends at its deadline, and when its caller gives up', async () => {
    server.hanging.add('ListAgents')
    const short = new SpireConnection({ socketPath: server.socketPath, timeoutMs: 200 })
    const late = await failing(listAgents(short))
    expect([late.code, late.message]).toEqual([
      'SPIRE_TIMEOUT',
      `spire server ${server.socketPath}: ListAgents: no answer within 200 ms`,
    ])
    short.close()
    const abort = new AbortController()
    const call = failing(listAgents(connection, { signal: abort.signal }))
    abort.abort()
    expect((await call).code).toBe('SPIRE_CANCELLED')
    expect((await failing(listAgents(connection, { signal: abort.signal }))).code).toBe('SPIRE_CANCELLED')
  })

  it('gives the words of the server', async () => {
    server.failures.set('BanAgent', [status.PERMISSION_DENIED, 'authorization denied for method'])
    const denied = await failing(banAgent(connection, NODE))
    expect([denied.code, denied.message]).toEqual([
      'SPIRE_DENIED',
      `spire server ${server.socketPath}: BanAgent of ${NODE}: the server's authorization policy refuses this caller: authorization denied for method`,
    ])
    server.failures.set('BanAgent', [status.INTERNAL, 'datastore down'])
    const broken = await failing(banAgent(connection, NODE))
    expect([broken.code, broken.message]).toEqual([
      'SPIRE_FAILED',
      `spire server ${server.socketPath}: BanAgent of ${NODE}: INTERNAL: datastore down`,
    ])
  })

  it('is answered again as soon as the server is back', async () => {
    server.attest('node-1')
    expect(await countAgents(connection)).toBe(1)
    server.stop()
    expect((await failing(countAgents(connection))).code).toBe('SPIRE_SOCKET_MISSING')
    await server.start()
    await expect.poll(() => countAgents(connection).catch(() => undefined), { timeout: 10_000 }).toBe(1)
  })

  it('does not run in circles over pages that do not end', async () => {
    await expect(
      readPages('spire server x', 'agents', async () => ({ items: [1], nextPageToken: '500' })),
    ).rejects.toMatchObject({
      code: 'SPIRE_BAD_ANSWER',
      message: 'spire server x: the list of agents does not end: its pages lead in a circle',
    })
  })
})

describe('SPIFFE IDs', () => {
  const segment = stringMatching(/^[A-Za-z0-9_-]{1,12}$/)

  it('survive being taken apart and put together', () => {
    assert(
      property(stringMatching(/^[a-z0-9-]{1,20}$/), array(segment, { maxLength: 5 }), (domain, path) => {
        const text = `spiffe://${domain}${path.map((one) => `/${one}`).join('')}`
        expect(spiffeIdText(spiffeIdParts(text))).toBe(text)
      }),
    )
  })

  it('are refused otherwise, and never throw', () => {
    assert(property(string(), (text) => spiffeIdParts(text) === undefined || text.startsWith('spiffe://')))
    for (const text of [
      'spiffe://',
      'spiffe://a/',
      'spiffe://a//b',
      'spiffe://a/../b',
      'spiffe://A/b',
      'https://a/b',
    ]) {
      expect(spiffeIdParts(text)).toBeUndefined()
    }
  })
})

describe('account names', () => {
  it('come from the files, or stay numbers', () => {
    const file = join(folder, 'passwd')
    writeFileSync(file, 'root:x:0:0::/:\nspire:x:990:991::/:\n')
    expect([userName(990, file), userName(7, file), groupName(0, file), groupName(3, join(folder, 'none'))]).toEqual([
      'spire',
      '7',
      'root',
      '3',
    ])
  })
})

async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([])
  process.setegid?.(65_534)
  process.seteuid?.(65_534)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
}

async function failing(call: Promise<unknown>): Promise<SpireApiError> {
  const error = await call.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  )
  if (error instanceof SpireApiError) return error
  throw error
}
