import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AGENT_SCHEMA } from '../../../agent-attestor/schema.ts'
import { CATALOGUE } from '../../../plugins/gate/catalogue/catalogue.ts'
import { decodeConfig } from '../../../plugins/spire-sdk/hcl/index.ts'
import { fillSections } from '../../../scripts/docs/fill-sections.ts'
import { operatorFiles } from '../../../scripts/docs/operator-files.ts'
import { SECTIONS } from '../../../scripts/docs/sections.ts'
import { SERVER_SCHEMA } from '../../../server-attestor/schema.ts'

/** Of `keylime_tenant`. @see keylime 9b1f6e6a, keylime/tenant.py */
const TENANT_COMMANDS = [
  'add',
  'delete',
  'update',
  'status',
  'cvstatus',
  'regstatus',
  'cvlist',
  'reglist',
  'reactivate',
  'regdelete',
  'bulkinfo',
]

const root = resolve(import.meta.dirname, '../../..')

/** Rooms that somebody enters to change something. */
const ROOMS = [
  ...globSync('plugins/*', { cwd: root }),
  'operator',
  'server-attestor',
  'agent-attestor',
  'bundle-publisher-keeper',
  'key-manager-tpm',
].filter((room) => statSync(join(root, room)).isDirectory())

const PUBLISHED: ReadonlySet<string> = new Set(['plugins/go-plugin', 'plugins/spire-sdk'])

/** The doors that a room's package names; none for a program. */
function doorsOf(room: string): Readonly<Record<string, string>> {
  const file = join(root, room, 'package.json')
  if (!existsSync(file)) return {}
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly exports?: Record<string, string> }).exports ?? {}
}

const pages = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/{*,runbooks/*}.md', { cwd: root })].filter((page) =>
  existsSync(join(root, page)),
)
const read = (page: string): string => readFileSync(join(root, page), 'utf8')

describe('the documentation', () => {
  it('holds in its generated sections what the code says [P28]', () => {
    const stale = pages.filter((page) => fillSections(read(page), SECTIONS, page) !== read(page))
    expect(stale).toEqual([])
  })

  it('has the manual pages, completion scripts and schemas that the verbs of towerkeep make [O28] [P28]', () => {
    const files = operatorFiles()
    const stale = [...files].filter(([file, text]) => !existsSync(join(root, file)) || read(file) !== text)
    expect(stale.map(([file]) => file)).toEqual([])
    const made = globSync('packaging/{man/towerkeep*,completion/*,schema/*}', { cwd: root })
    expect(made.filter((file) => !files.has(file))).toEqual([])
    expect(made.length).toBe(files.size)
  })

  it('explains every key of both halves, the aliases and the ignored ones too [T75] [P28]', () => {
    for (const [page, schema] of [
      ['docs/configuration-server.md', SERVER_SCHEMA],
      ['docs/configuration-agent.md', AGENT_SCHEMA],
    ] as const) {
      const text = read(page)
      expect(Object.keys(schema.fields).filter((key) => !text.includes(`| \`${key}\` |`))).toEqual([])
    }
  })

  it('shows only configurations that the plugins accept [T75] [P28]', () => {
    const blocks = pages.flatMap((page) =>
      [...read(page).matchAll(/plugin_cmd = "[^"]*(server|agent)"[\s\S]*?plugin_data \{\n([\s\S]*?)\n {2}\}/g)].map(
        ([, half, data = '']) => ({ page, half, data }),
      ),
    )
    expect(blocks.length).toBeGreaterThan(3)
    const problems = blocks.flatMap(({ page, half, data }) => {
      const found = half === 'server' ? decodeConfig(data, SERVER_SCHEMA) : decodeConfig(data, AGENT_SCHEMA)
      return [...found.problems, ...found.warnings].map((problem) => `${page}: ${String(problem)}`)
    })
    expect(problems).toEqual([])
  })

  it('has the five runbooks, which name only codes and tenant commands that exist [T65]', () => {
    const linked = new Set([...read('docs/runbooks.md').matchAll(/\]\((runbooks\/[^)]+)\)/g)].map(([, page]) => page))
    const titles = [...linked].map((page) => /^# (.*)$/m.exec(read(`docs/${page}`))?.[1])
    expect(titles.toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
      'A new host',
      'Attestation failure',
      'Certificate renewal',
      'Disaster recovery',
      'SPIRE agent recovery',
    ])
    const everything = pages.map(read).join('\n')
    const codes = [...everything.matchAll(/(?<!TK-)\bKL-[A-Z]+(?:-[A-Z]+)+\b/g)].map(([code]) => code)
    expect(codes.filter((code) => !Object.hasOwn(CATALOGUE, code))).toEqual([])
    const commands = [...everything.matchAll(/keylime_tenant -c (\w+)/g)].map(([, command]) => command)
    expect(commands.filter((command) => !TENANT_COMMANDS.includes(command ?? ''))).toEqual([])
    expect(commands.length).toBeGreaterThan(2)
  })

  it.each(ROOMS)('has a page of %s, which names only files that are there', (room) => {
    const page = read(`${room}/README.md`)
    const named = [...page.matchAll(/`((?:[a-z0-9-]+\/)*[a-z0-9-]+(?:\.ts|\/))`/g)].map(([, path = '']) => path)
    // A file is named by its path, or in its room by its name alone.
    const names = new Set(globSync('**/*.ts', { cwd: join(root, room) }).flatMap((path) => [path, basename(path)]))
    const isNamed = (path: string): boolean =>
      names.has(path) || [room, '.'].some((from) => existsSync(join(root, from, path)))
    // The pages of published packages are for authors elsewhere, and name files of theirs.
    const examples = new Set(PUBLISHED.has(room) ? named : [])
    expect(named.filter((path) => !examples.has(path) && !isNamed(path))).toEqual([])
    const links = [...page.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => join(root, room, path))
    expect(links.filter((path) => !existsSync(path))).toEqual([])
    const doors = Object.keys(doorsOf(room)).map((door) => door.replace('.', ''))
    expect(doors.filter((door) => !page.includes(door))).toEqual([])
  })

  it('links to nothing that is not there [O28] [T75]', () => {
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]*)(#[^)]*)?\)/g)]
        .filter(([, path = '', anchor = '']) => !isThere(page, path, anchor))
        .map(([link]) => `${page}: ${link}`),
    )
    expect(broken).toEqual([])
  })
})

function isThere(page: string, path: string, anchor: string): boolean {
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, target))) return false
  if (anchor === '') return true
  const headings = [...read(target).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  )
  return headings.includes(anchor.slice(1))
}
