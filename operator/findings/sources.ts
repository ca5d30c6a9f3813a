/**
 * Findings about services and configuration that any verb can meet.
 *
 * @module
 */
import type { FindingEntry } from './entry.ts'

/** The entries. */
export const SOURCE_FINDINGS = {
  'TK-USAGE': {
    severity: 'crit',
    meaning: 'The command line does not make sense.',
    cause: 'An unknown verb or flag, a missing word, or a value out of bounds.',
    next: 'run towerkeep VERB --help',
    incidents: [],
  },
  'TK-FAULT': {
    severity: 'crit',
    meaning: 'towerkeep itself failed.',
    cause: 'A fault of the program; it says nothing about any host.',
    next: 'report it with the output of the same command and --verbose',
    incidents: [],
  },
  'TK-CONF-INVALID': {
    severity: 'crit',
    meaning: 'A configuration file does not parse, or has a key or value that is not known.',
    cause: 'A slip of the keyboard, or a key of another program or release.',
    next: 'mend the file at the line and column named',
    incidents: ['P07', 'P29'],
  },
  'TK-CONF-ABSENT': {
    severity: 'unknown',
    meaning: 'Something needed to reach a service was found nowhere.',
    cause: 'The service is not configured on this machine, or its file is not readable.',
    next: 'set it in /etc/towerkeep.hcl, or run on the machine that has the service',
    incidents: [],
  },
  'TK-SRC-VERIFIER': {
    severity: 'unknown',
    meaning: 'The Keylime verifier cannot be asked.',
    cause: 'It is down, away, or does not take our certificate.',
    next: 'see the message: it names host, port and cause',
    incidents: ['P18'],
  },
  'TK-SRC-REGISTRAR': {
    severity: 'unknown',
    meaning: 'The Keylime registrar cannot be asked.',
    cause: 'It is down, away, or does not take our certificate.',
    next: 'see the message: it names host, port and cause',
    incidents: [],
  },
  'TK-SRC-SPIRE': {
    severity: 'unknown',
    meaning: 'The SPIRE server cannot be asked.',
    cause: 'It is down, its socket is elsewhere, or this user may not open it.',
    next: 'see the message: it names the socket, user, group and mode',
    incidents: ['P20'],
  },
} as const satisfies Readonly<Record<string, FindingEntry>>
