/**
 * Long lists that a server hands out page by page.
 *
 * @module
 */
import { SpireApiError } from './errors.ts'

/** Items a page: 1,000 agents take two calls of 20 ms. */
export const PAGE_SIZE = 500

/** Pages after which a list is not believed any more: five million items. */
const MAX_PAGES = 10_000

/** One page. */
export interface Page<T> {
  readonly items: readonly T[]
  /** Empty on the last page. */
  readonly nextPageToken: string
}

/**
 * Reads every page.
 *
 * @param who The server in the words of messages.
 * @param what The list in the words of messages.
 * @param read Reads the page of a token; the first has the empty token.
 * @returns All items in the server's order.
 * @throws {SpireApiError} `SPIRE_BAD_ANSWER`: a page names itself as the next one, or there is no end. Others as `read`.
 */
export async function readPages<T>(
  who: string,
  what: string,
  read: (token: string) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const items: T[] = []
  let token = ''
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items: more, nextPageToken } = await read(token)
    for (const item of more) items.push(item)
    if (nextPageToken === '') return items
    if (nextPageToken === token) break
    token = nextPageToken
  }
  throw new SpireApiError('SPIRE_BAD_ANSWER', `${who}: the list of ${what} does not end: its pages lead in a circle`)
}
