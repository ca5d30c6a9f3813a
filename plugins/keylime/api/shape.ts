/**
 * Parsed JSON held against a valibot schema; an error says in one line which field is wrong, without its value.
 *
 * @module
 */
import * as v from 'valibot'
import { newFailure } from '../basis/failures.ts'
import { kindOf } from './json.ts'

/**
 * Parses a value by a schema; fields the schema does not name are dropped, so secrets among them go no further.
 *
 * @param schema What is expected.
 * @param value Parsed JSON.
 * @param who The service, for the message.
 * @param where What the value is, such as `agent record`.
 * @returns The value, typed.
 * @throws {KeylimeError} `KEYLIME_BAD_RESPONSE`: names the first field that is wrong, what was expected and the kind found.
 */
export function parseShape<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  who: string,
  where: string,
): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value, { abortEarly: true })
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  const path = v.getDotPath(issue) ?? ''
  const found = issue.kind === 'schema' ? `found ${kindOf(issue.input)}` : `found ${kindOf(issue.input)} that is not`
  throw newFailure(
    'answer-shape',
    `${who} sends a ${where} that is not as expected: ${path === '' ? 'the whole' : path}: expected ${expectedOf(issue)}, ${found}`,
  )
}

// Of a check (not a type) valibot's own `expected` says nothing; such a schema carries its words as the message.
function expectedOf(issue: v.BaseIssue<unknown>): string {
  return issue.kind === 'schema' ? (issue.expected ?? 'something else') : issue.message
}
