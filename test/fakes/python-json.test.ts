import { describe, expect, it } from 'vitest'
import { indentedPythonJson, pythonJson } from './python-json.ts'

describe('pythonJson', () => {
  it('escapes and spaces as json.dumps does', () => {
    expect(pythonJson({ a: [1, 'ü\n'], b: {}, c: undefined, d: null })).toBe(
      '{"a": [1, "\\u00fc\\n"], "b": {}, "d": null}',
    )
    expect(indentedPythonJson({ a: 'é', b: {} })).toBe('{\n    "a": "\\u00e9",\n    "b": {}\n}')
  })
})
