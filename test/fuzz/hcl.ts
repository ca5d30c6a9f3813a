/**
 * Configuration text under fuzz: `parseHcl`, and `decodeConfig` with a schema of every kind.
 *
 * @module
 */
import { decodeConfig, defineSchema, HclError, parseHcl } from '../../plugins/spire-sdk/hcl/index.ts'
import { HCL_CORPUS, HCL_PIECES } from '../conformance/hcl/corpus.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const schema = defineSchema({
  text: { kind: 'string', pattern: /[a-z]*/, help: 'h' },
  count: { kind: 'integer', min: 0, max: 100, help: 'h' },
  port: { kind: 'port', default: 1, help: 'h' },
  flag: { kind: 'boolean', help: 'h' },
  wait: { kind: 'duration', default: '5s', help: 'h' },
  list: { kind: 'string_list', oneOf: ['a', 'b'], help: 'h' },
  block: { kind: 'block', help: 'h', fields: { text: { kind: 'string', required: true, help: 'h' } } },
  old: { aliasOf: 'text' },
  dead: { ignored: 'does nothing' },
})

/** The HCL reader. */
export const hcl: FuzzTarget = {
  name: 'hcl',
  mutants: 300_000,
  maxMs: 1000,
  corpus: HCL_CORPUS.map((text) => Buffer.from(text)),
  pieces: HCL_PIECES.map((text) => Buffer.from(text)),
  run(input) {
    const text = input.toString('utf8')
    const { problems, warnings } = decodeConfig(text, schema)
    const lines = text.split('\n').length
    for (const { line, column } of [...problems, ...warnings]) {
      if (!(line >= 1 && line <= lines && column >= 1))
        throw new Error(`position ${line}:${column} is outside the text`)
    }
    try {
      parseHcl(text)
      return 'accepted'
    } catch (error) {
      if (error instanceof HclError) return 'refused'
      throw error
    }
  },
}
