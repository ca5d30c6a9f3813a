/**
 * A flag that verbs with a journal share.
 *
 * @module
 */
import { JOURNAL_FOLDER } from '../paths.ts'

/** Where the journal is kept. */
export const JOURNAL_FLAG = {
  journal: {
    kind: 'text',
    value: 'FOLDER',
    complete: 'file',
    default: JOURNAL_FOLDER,
    help: 'Where the journal of changes is kept.',
  },
} as const
