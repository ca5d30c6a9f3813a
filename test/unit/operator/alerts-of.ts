// Just enough YAML for our own file of alerts: a list of rules, each of scalars, one level of annotations.

/**
 * Reads the rules of a file of alerts.
 * @returns Each rule with its keys, those of annotations included.
 */
export function alertsOf(text: string): readonly Readonly<Record<string, string>>[] {
  const rules: Record<string, string>[] = []
  for (const line of text.split('\n')) {
    const begin = /^ {6}- alert: (\w+)$/.exec(line)
    if (begin !== null) rules.push({ alert: begin[1] ?? '' })
    const pair = /^ {8,10}(\w+): (.+)$/.exec(line)
    const rule = rules.at(-1)
    if (pair !== null && rule !== undefined) rule[pair[1] ?? ''] = (pair[2] ?? '').replace(/^"(.*)"$/, '$1')
  }
  return rules
}
