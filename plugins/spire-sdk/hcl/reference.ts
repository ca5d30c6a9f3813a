/**
 * The reference table of a schema, for README and documentation.
 *
 * @module
 */
import { type FieldSpec, type FieldSpecs, isAlias, isIgnored, type Schema, type ValueField } from './schema.ts'

const KIND_NAMES: Readonly<Record<ValueField['kind'], string>> = {
  string: 'string',
  integer: 'number',
  port: 'port',
  boolean: 'boolean',
  duration: 'duration',
  string_list: 'list of strings',
  block: 'block',
}

/**
 * Prints the keys of a schema as a Markdown table.
 *
 * @param schema From `defineSchema`.
 * @returns Header and one row per key, in the schema's order, each ending in a newline; keys of a block as `block.key`.
 */
export function renderReference(schema: Schema<FieldSpecs>): string {
  const rows = rowsOf(schema.fields, '')
  return ['| key | kind | default | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

function rowsOf(fields: FieldSpecs, path: string): string[] {
  return Object.entries(fields).flatMap(([key, field]) => {
    const row = rowOf(path + key, field)
    const isBlock = !isAlias(field) && !isIgnored(field) && field.kind === 'block'
    return isBlock ? [row, ...rowsOf(field.fields, `${path}${key}.`)] : [row]
  })
}

function rowOf(key: string, field: FieldSpec): string {
  if (isAlias(field))
    return cells(`\`${key}\``, '', '', `another name of \`${field.aliasOf}\`, accepted with a warning`)
  if (isIgnored(field)) return cells(`\`${key}\``, '', '', `ignored with a warning: ${field.ignored}`)
  return cells(`\`${key}\``, KIND_NAMES[field.kind], defaultText(field), field.help)
}

function defaultText(field: ValueField): string {
  if (field.defaultText !== undefined) return field.defaultText
  if (field.required === true) return 'required'
  if (field.kind === 'block' || field.default === undefined) return ''
  return `\`${JSON.stringify(field.default).replaceAll('","', '", "')}\``
}

function cells(...texts: readonly string[]): string {
  return `| ${texts.map((text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`
}
