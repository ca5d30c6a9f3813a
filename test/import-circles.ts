/**
 * Files that import each other in a loop, type-only imports included.
 *
 * @module
 */

/**
 * Finds the circles of a graph.
 *
 * @param imports What each file imports.
 * @returns Each circle's files, sorted; no file stands in two.
 */
export function circlesOf(imports: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const reached = new Map([...imports.keys()].map((file) => [file, reachOf(file, imports)]))
  const circles = new Map<string, readonly string[]>()
  for (const [file, reach] of reached) {
    const circle = [...reach].filter((other) => reached.get(other)?.has(file)).toSorted()
    const [first] = circle
    if (first !== undefined) circles.set(first, circle)
  }
  return [...circles.values()]
}

function reachOf(start: string, imports: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const reach = new Set<string>()
  for (let front = imports.get(start) ?? []; front.length > 0; ) {
    const fresh = front.filter((one) => !reach.has(one))
    for (const one of fresh) reach.add(one)
    front = fresh.flatMap((one) => imports.get(one) ?? [])
  }
  return reach
}
