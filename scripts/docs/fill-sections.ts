/**
 * Puts generated text between the markers of a Markdown page.
 *
 * @module
 */

/** Makes the text of one section. */
export type Section = () => string

const MARKED = /<!-- generated:([a-z0-9-]+) -->\n[\s\S]*?<!-- end -->/g

/**
 * Fills every marked section of a page.
 *
 * @param text The page.
 * @param sections Section texts by key.
 * @param page Name of the page, for messages.
 * @returns The page with each section replaced.
 * @throws {Error} A key that no section has, or a marker without an end.
 */
export function fillSections(text: string, sections: Readonly<Record<string, Section>>, page: string): string {
  const begun = text.match(/<!-- generated:/g)?.length ?? 0
  const whole = text.match(MARKED)?.length ?? 0
  if (begun !== whole) throw new Error(`${page}: a generated section has no <!-- end -->`)
  return text.replace(MARKED, (_found: string, key: string) => {
    const section = Object.hasOwn(sections, key) ? sections[key] : undefined
    if (section === undefined) throw new Error(`${page}: nothing generates the section "${key}"`)
    return `<!-- generated:${key} -->\n${section().trimEnd()}\n<!-- end -->`
  })
}
