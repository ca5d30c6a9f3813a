import { dirname, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesOf, importsOf } from './source-files.ts'

const root = resolve(import.meta.dirname, '..')

const PRODUCT = [
  'plugins',
  'server-attestor',
  'agent-attestor',
  'bundle-publisher-keeper',
  'key-manager-tpm',
  'operator',
]

/** Rooms of the lab and the fakes, and what each may import besides itself, Node.js and packages. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'test/lab/processes': [],
  'test/lab/parts': ['test/lab/processes'],
  'test/lab/services': ['test/lab/processes', ...PRODUCT],
  'test/lab/one-host': ['test/lab/parts', 'test/lab/processes', 'test/lab/services', ...PRODUCT],
  'test/lab/tower': ['test/lab/parts', 'test/lab/processes', 'test/lab/services', ...PRODUCT],
  // Fakes judge the product with checks of their own: of it they know the messages on the wire alone.
  'test/fakes': ['plugins/spire-api/gen', 'plugins/spire-sdk/gen', 'plugins/go-plugin/gen'],
}

function within(path: string, rooms: readonly string[]): boolean {
  return rooms.some((room) => path.startsWith(`${room}/`))
}

/** A path below the root, whether it is written as one or by the name of a package of ours. */
function targetOf(importer: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return relative(root, resolve(dirname(importer), specifier))
  return specifier.startsWith('@tower-of-omens/') ? `plugins/${specifier.slice('@tower-of-omens/'.length)}/` : undefined
}

describe('the rooms of test/', () => {
  it.each(Object.entries(ARROWS))('%s imports only along its arrows', (room, allowed) => {
    const files = filesOf(resolve(root, room))
    expect(files).not.toEqual([])
    const wrong = files.flatMap((path) =>
      importsOf(path).filter((specifier) => {
        const target = targetOf(path, specifier)
        return target !== undefined && !within(target, [room, ...allowed])
      }),
    )
    expect(wrong).toEqual([])
  })

  it('are unknown to the product', () => {
    const known = PRODUCT.flatMap((room) => filesOfMaybe(room)).flatMap((path) =>
      importsOf(path).filter((specifier) => targetOf(path, specifier)?.startsWith('test/') === true),
    )
    expect(known).toEqual([])
  })

  it('hold every file of the lab', () => {
    const all = filesOf(resolve(root, 'test/lab')).map((path) => relative(root, path))
    expect(all.filter((path) => !within(path, Object.keys(ARROWS)))).toEqual([])
  })
})

/** The operator's tool may not be there yet. */
function filesOfMaybe(room: string): readonly string[] {
  try {
    return filesOf(resolve(root, room))
  } catch {
    return []
  }
}
