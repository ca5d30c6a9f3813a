import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { KEEPER_PLUGIN } from '../../../bundle-publisher-keeper/plugin.ts'
import { type Bundle, formatBundle } from '../../../plugins/spire-sdk/index.ts'
import { driveBundlePublisher, serveForTest, testBundle, validate } from '../../../plugins/spire-sdk/testing/index.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures/bundle-format')

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keeper-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Makes a JWT authority with a fresh key. */
function jwtKey(keyId: string, tainted = false): Bundle['jwtAuthorities'][number] {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { keyId, publicKey: publicKey.export({ type: 'spki', format: 'der' }), expiresAt: 0n, tainted }
}

function bundleOf(sequence: bigint, ...keyIds: string[]): Bundle {
  const pem = readFileSync(join(FIXTURES, 'bundle.json'), 'utf8')
  const { x509_authorities: roots } = JSON.parse(pem) as { x509_authorities: { asn1: string }[] }
  return testBundle({
    sequenceNumber: sequence,
    x509Authorities: roots.map(({ asn1 }) => ({ asn1: Buffer.from(asn1, 'base64'), tainted: false })),
    jwtAuthorities: keyIds.map((id) => jwtKey(id)),
  })
}

interface Asked {
  readonly method: string | undefined
  readonly token: unknown
  readonly body: Record<string, unknown>
}

/** Serves the one path of OpenBao that the keeper asks for. */
async function fakeOpenBao(config: Record<string, unknown>, failWith?: number) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
      asked.push({ method: request.method, token: request.headers['x-vault-token'], body })
      const status = request.url === '/v1/auth/jwt/config' ? (failWith ?? 200) : 404
      response.writeHead(status, { 'content-type': 'application/json' })
      if (status !== 200) return response.end('{"errors":["permission denied"]}')
      if (request.method === 'POST') Object.assign(config, body)
      return response.end(JSON.stringify({ data: config }))
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => void server.close())
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, config }
}

async function keeper(hcl: string) {
  const served = await serveForTest(KEEPER_PLUGIN, { hcl })
  onTestFinished(() => served.close())
  return { publish: driveBundlePublisher(served).publishBundle, logs: served.logs }
}

/** A program that notes how often it ran, and fails while a file named `broken` lies beside it. */
function reloader(folder: string): { readonly program: string; readonly runs: () => number } {
  const program = join(folder, 'reload')
  writeFileSync(
    program,
    `#!/bin/sh\n[ ! -e "${folder}/broken" ] || { echo "no such site" >&2; exit 3; }\necho "$1" >> "${folder}/runs"\n`,
  )
  chmodSync(program, 0o755)
  const log = join(folder, 'runs')
  return { program, runs: () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0) }
}

describe('the keeper', () => {
  it('keeps three files as the bundle is, each replaced whole [keeper:files:follow-the-bundle]', async () => {
    const folder = newFolder()
    const { publish, logs } = await keeper(`folder = "${folder}"`)
    const [first, second] = [bundleOf(1n, 'a'), bundleOf(2n, 'b')]
    await publish(first)
    const inode = statSync(join(folder, 'bundle.pem')).ino
    await publish(second)
    expect(readdirSync(folder).toSorted()).toEqual(['bundle.json', 'bundle.pem', 'jwks.json'])
    expect(readFileSync(join(folder, 'jwks.json'), 'utf8')).toBe(formatBundle(second, 'jwks'))
    expect(readFileSync(join(folder, 'bundle.json'), 'utf8')).toBe(formatBundle(second, 'spiffe'))
    expect(statSync(join(folder, 'bundle.json')).mode & 0o777).toBe(0o644)
    expect(statSync(join(folder, 'bundle.pem')).ino).toBe(inode)
    expect(logs.map(({ fields }) => fields['files'])).toEqual([
      'bundle.pem, jwks.json, bundle.json',
      'jwks.json, bundle.json',
    ])
  })

  it('runs the command once after a start, and then when files changed [keeper:reload:when-files-change]', async () => {
    const folder = newFolder()
    const { program, runs } = reloader(newFolder())
    const hcl = `folder = "${folder}"\nformats = ["pem"]\nreload_command = ["${program}", "now; rm -rf /"]`
    const bundle = bundleOf(1n)
    const { publish } = await keeper(hcl)
    await publish(bundle)
    await publish(bundle)
    expect(runs()).toBe(1)
    await publish({ ...bundle, x509Authorities: bundle.x509Authorities.slice(1) })
    expect(runs()).toBe(2)
  })

  it('says what the command said, and runs it again until it succeeds [keeper:reload:retried]', async () => {
    const [folder, beside] = [newFolder(), newFolder()]
    const { program, runs } = reloader(beside)
    const { publish } = await keeper(`folder = "${folder}"\nreload_command = ["${program}"]`)
    writeFileSync(join(beside, 'broken'), '')
    const failed = { code: 14, details: `reload command: ${program} ended with 3: no such site` }
    await expect(publish(bundleOf(1n))).rejects.toMatchObject(failed)
    rmSync(join(beside, 'broken'))
    await publish(bundleOf(1n))
    expect(runs()).toBe(1)
  })

  it('ends a command that hangs', async () => {
    const folder = newFolder()
    const { publish } = await keeper(`folder = "${folder}"\ntimeout = "200ms"\nreload_command = ["/bin/sleep", "60"]`)
    await expect(publish(bundleOf(1n))).rejects.toMatchObject({
      code: 14,
      details: 'reload command: /bin/sleep did not end within 200 ms',
    })
  })

  it("sets OpenBao's keys, keeps its other settings, and writes only what differs [keeper:openbao:keys]", async () => {
    const token = join(newFolder(), 'token')
    writeFileSync(token, 's.first\n')
    const bao = await fakeOpenBao({ bound_issuer: 'https://issuer', default_role: 'web', jwt_validation_pubkeys: [] })
    const { publish, logs } = await keeper(`openbao_address = "${bao.address}"\nopenbao_token_file = "${token}"`)
    const bundle = bundleOf(1n, 'old', 'new')
    await publish(bundle)
    await publish(bundle)
    expect(bao.asked.map(({ method }) => method)).toEqual(['GET', 'POST', 'GET'])
    expect(bao.asked[1]?.body).toMatchObject({ bound_issuer: 'https://issuer', default_role: 'web' })
    expect(bao.config['jwt_validation_pubkeys']).toHaveLength(2)
    writeFileSync(token, 's.second\n')
    await publish({ ...bundle, jwtAuthorities: [jwtKey('tainted', true), jwtKey('newest')] })
    expect(bao.config['jwt_validation_pubkeys']).toHaveLength(1)
    expect(bao.asked.at(-1)?.token).toBe('s.second')
    expect(logs.map(({ fields }) => fields['keys'])).toEqual(['old, new', 'newest'])
    expect(JSON.stringify(logs)).not.toMatch(/s\.(first|second)|PUBLIC KEY/)
  })

  it('writes the files although OpenBao refuses, and says what it said [keeper:faults:apart]', async () => {
    const [folder, beside] = [newFolder(), newFolder()]
    writeFileSync(join(beside, 'token'), 's.token')
    const { program, runs } = reloader(beside)
    const bao = await fakeOpenBao({}, 403)
    const openbao = `openbao_address = "${bao.address}"\nopenbao_token_file = "${join(beside, 'token')}"`
    const { publish } = await keeper(`folder = "${folder}"\nreload_command = ["${program}"]\n${openbao}`)
    await expect(publish(bundleOf(1n, 'a'))).rejects.toMatchObject({
      code: 14,
      details: `OpenBao: GET ${bao.address}/v1/auth/jwt/config answered 403: permission denied`,
    })
    expect(readdirSync(folder)).toContain('bundle.pem')
    expect(runs()).toBe(1)
  })

  it.each([
    [
      { oidc_discovery_url: 'https://idp' },
      ['a'],
      'OpenBao: auth/jwt has oidc_discovery_url, expected a method that is configured by keys alone',
    ],
    [{}, [], 'OpenBao: the bundle has no JWT key to trust; the keys in OpenBao stay as they are'],
  ])('leaves OpenBao alone when it is configured by %j, or the keys are %j', async (config, keys, details) => {
    const token = join(newFolder(), 'token')
    writeFileSync(token, 's.token')
    const bao = await fakeOpenBao(config)
    const { publish } = await keeper(`openbao_address = "${bao.address}"\nopenbao_token_file = "${token}"`)
    await expect(publish(bundleOf(1n, ...keys))).rejects.toMatchObject({ code: 14, details })
    expect(bao.asked.filter(({ method }) => method === 'POST')).toEqual([])
  })

  it('leaves the old file when the new one cannot be written', async () => {
    const folder = newFolder()
    const { publish } = await keeper(`folder = "${folder}"\nformats = ["jwks"]`)
    await publish(bundleOf(1n, 'a'))
    const before = readFileSync(join(folder, 'jwks.json'), 'utf8')
    mkdirSync(join(folder, 'jwks.json.new'))
    await expect(publish(bundleOf(2n, 'b'))).rejects.toMatchObject({
      code: 14,
      details: expect.stringMatching(/^files: EISDIR/) as string,
    })
    expect(readFileSync(join(folder, 'jwks.json'), 'utf8')).toBe(before)
  })
})

describe('its configuration', () => {
  it('is told every problem at once, and changes nothing [keeper:configure:all-at-once]', async () => {
    await using served = await serveForTest(KEEPER_PLUGIN)
    const folder = newFolder()
    const told = async (hcl: string) => (await validate(served, { trustDomain: 'example.org', hcl })).notes
    expect(await told('')).toEqual(['nothing to do: set folder, openbao_address, or both'])
    expect(await told('folder = "relative"\nreload_command = ["nginx"]')).toEqual([
      'folder: relative is relative, expected an absolute path',
      'reload_command: nginx is relative, expected an absolute path',
    ])
    expect(await told(`folder = "${folder}/none"\nopenbao_address = "https://bao:8200"`)).toEqual([
      expect.stringMatching(/^folder: ENOENT.*make it, and let the user of spire-server write to it$/),
      'openbao_token_file is required beside openbao_address',
    ])
    expect(await told(`folder = "${folder}"\nformats = ["der"]`)).toEqual([expect.stringContaining('formats')])
    expect(await told(`folder = "${folder}"\nopenbao_ca_file = "/x"`)).toEqual([
      'openbao_address is missing beside the other openbao_ keys',
    ])
    expect(await told(`folder = "${folder}"\nreload_command = ["/bin/sleep", "1"]`)).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })
})
