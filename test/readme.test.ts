import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AGENT_SCHEMA } from '../agent-attestor/schema.ts'
import { decodeConfig, parseHcl } from '../plugins/spire-sdk/hcl/index.ts'
import { SERVER_SCHEMA } from '../server-attestor/schema.ts'

const root = resolve(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const makefile = readFileSync(join(root, 'Makefile'), 'utf8')
const targets = new Set([...makefile.matchAll(/^([a-z-]+):/gm)].map(([, name = '']) => name))

describe('README.md', () => {
  it('shows only plugin blocks that the halves accept', () => {
    const blocks = blocksOf('hcl')
    expect(blocks.length).toBe(2)
    for (const block of blocks) {
      expect(parseHcl(block)).toBeDefined()
      const server = block.includes('keylime-attestor-server')
      const { problems, warnings } = server
        ? decodeConfig(dataOf(block), SERVER_SCHEMA)
        : decodeConfig(dataOf(block), AGENT_SCHEMA)
      expect([...problems, ...warnings].map(String)).toEqual([])
    }
  })

  it('names only make targets that there are', () => {
    const named = [...readme.matchAll(/\bmake ([a-z-]+)/g)].map(([, name = '']) => name)
    expect(named.filter((name) => !targets.has(name))).toEqual([])
  })

  it('has at most a thousand words, so that a newcomer reads it to the end', () => {
    expect(readme.split(/\s+/).length).toBeLessThanOrEqual(1000)
  })

  it('leaves its tables to generated pages, and leads to them', () => {
    const sections = {
      'server-keys': 'docs/configuration-server.md',
      'agent-keys': 'docs/configuration-agent.md',
      selectors: 'docs/selectors.md',
      'error-index': 'docs/errors.md',
      metrics: 'docs/metrics.md',
      numbers: 'docs/scaling.md',
    }
    for (const [key, page] of Object.entries(sections)) {
      const text = readFileSync(join(root, page), 'utf8')
      const section = new RegExp(`<!-- generated:${key} -->\\n([^]*?)<!-- end -->`).exec(text)?.[1] ?? ''
      expect(`${key}: ${section.split('\n').length > 3}, ${readme.includes(`(${page})`)}`).toBe(`${key}: true, true`)
    }
  })
})

describe('the repository', () => {
  it('has what a community needs: licence, README, contributing guide, references and a release build [T42]', () => {
    const files = [
      'LICENSE',
      'README.md',
      'CONTRIBUTING.md',
      'docs/configuration-server.md',
      'docs/configuration-agent.md',
      'docs/errors.md',
    ]
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([])
    expect(readFileSync(join(root, 'LICENSE'), 'utf8')).toContain('Apache License')
    expect(targets.has('release')).toBe(true)
  })

  it('documents every make target in its help', () => {
    const undocumented = [...makefile.matchAll(/^([a-z-]+):.*$/gm)].filter(([line]) => !line.includes('## '))
    expect(undocumented.map(([, name]) => name)).toEqual([])
  })

  it('lists every target as one that makes no file', () => {
    const phony = new Set(/^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(' '))
    expect([...targets].filter((name) => !phony.has(name))).toEqual([])
  })
})

function blocksOf(language: string): string[] {
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, text = '']) => text)
}

/** The text inside `plugin_data { … }`, as SPIRE hands it to the plugin. */
function dataOf(block: string): string {
  return /plugin_data \{\n([^]*?)\n {2}\}/.exec(block)?.[1] ?? ''
}
