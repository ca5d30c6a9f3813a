/**
 * The files that are made of the operator's tool: manual pages, completion scripts, schemas of its JSON documents.
 *
 * @module
 */
import { toJsonSchema } from '@valibot/to-json-schema'
import { completionScript } from '../../operator/flags/completion.ts'
import { manPages } from '../../operator/flags/man.ts'
import { DOCUMENTS } from '../../operator/schemas/documents.ts'

/**
 * Writes every file.
 *
 * @returns Path from the root to text.
 */
export function operatorFiles(): ReadonlyMap<string, string> {
  const pages = [...manPages()].map(([name, text]): [string, string] => [`packaging/man/${name}`, text])
  const schemas = Object.entries(DOCUMENTS).map(([name, schema]): [string, string] => [
    `packaging/schema/${name.replace('towerkeep/', '').replace('/', '-')}.json`,
    `${JSON.stringify({ title: name, ...toJsonSchema(schema, { errorMode: 'ignore' }) }, null, 2)}\n`,
  ])
  return new Map([
    ...pages,
    ...schemas,
    ['packaging/completion/towerkeep.bash', completionScript('bash')],
    ['packaging/completion/_towerkeep', completionScript('zsh')],
    ['packaging/completion/towerkeep.fish', completionScript('fish')],
  ])
}
