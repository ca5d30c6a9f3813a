/**
 * HCL 1 and JSON configuration: text to positioned tree to typed values. Pure: no I/O, no dependencies.
 *
 * @module
 */
export { type DecodedConfig, decodeConfig, EMPTY_PROBLEM } from './decode.ts'
export { formatDuration, parseDuration } from './duration.ts'
export { parseHcl } from './parse.ts'
export { HclError, inOrder, type Position, Problem } from './problem.ts'
export { renderReference } from './reference.ts'
export { type Decoded, defineSchema, type FieldKind, type FieldSpec, type FieldSpecs, type Schema } from './schema.ts'
export type { HclBoolean, HclEntry, HclKey, HclList, HclNode, HclNumber, HclObject, HclString } from './tree.ts'
