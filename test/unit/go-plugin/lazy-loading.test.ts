import { existsSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOM = new URL('../../../plugins/go-plugin/', import.meta.url).pathname

/** Everything a module pulls in by itself: imports of values, not of types, and none that is asked for later. */
function loadedWith(entry: string): ReadonlySet<string> {
  const seen = new Set<string>()
  const visit = (file: string): void => {
    for (const [, from = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?!type )[^;]*?from '([^']+)'/gms,
    )) {
      const target = from.startsWith('.') ? resolve(dirname(file), from) : from
      const name = target.startsWith('/') ? relative(ROOM, target) : target
      if (seen.has(name)) continue
      seen.add(name)
      if (existsSync(target)) visit(target)
    }
  }
  visit(resolve(ROOM, entry))
  return seen
}

const DESCRIPTORS = ['grpc/descriptor-index.ts', 'gen/descriptors.ts', 'gen/descriptor/outline.ts']

describe('serveGoPlugin', () => {
  it('needs nothing before the handshake line but a few small files and parts of Node.js', () => {
    const loaded = loadedWith('serve/server.ts')
    expect([...loaded].filter((name) => name.startsWith('../') || name.startsWith('@'))).toEqual([])
    expect([...loaded].filter((name) => name.startsWith('node:')).toSorted()).toEqual([
      'node:crypto',
      'node:diagnostics_channel',
      'node:fs',
      'node:net',
      'node:os',
      'node:path',
      'node:stream',
    ])
    expect(loaded).toContain('serve/serving.ts')
    expect(loaded).not.toContain('serve/grpc-runtime.ts')
  })

  it('loads nothing that its host has not asked for: no TLS keys, no multiplexing, no reflection answers', () => {
    const loaded = loadedWith('serve/grpc-runtime.ts')
    expect(loaded).toContain('@grpc/grpc-js')
    expect(loaded).toContain('broker/broker.ts')
    const later = [
      'tls/auto-mtls.ts',
      'tls/der.ts',
      'broker/mux-transport.ts',
      'broker/mux-broker.ts',
      'broker/yamux-session.ts',
      'broker/stream-bridge.ts',
    ]
    const reflection = ['grpc/reflection-answers.ts', ...DESCRIPTORS, 'gen/grpc/reflection/v1/reflection.ts']
    for (const name of [...later, ...reflection, 'serve/reattach.ts']) {
      expect(loaded).not.toContain(name)
    }
  })

  it('loads no descriptors to list the services', () => {
    const loaded = loadedWith('grpc/reflection-answers.ts')
    expect(loaded).toContain('gen/grpc/reflection/v1/reflection.ts')
    for (const name of DESCRIPTORS) expect(loaded).not.toContain(name)
  })
})
