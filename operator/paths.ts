/**
 * Folders of the tool's own.
 *
 * @module
 */

/** Journal of changes. */
export const JOURNAL_FOLDER = '/var/lib/towerkeep/journal'

/** Descriptions of certificates that are to be renewed. */
export const CERTS_FOLDER = '/etc/towerkeep/certs.d'
