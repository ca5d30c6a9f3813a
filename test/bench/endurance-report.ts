/**
 * A run of `make soak` in words and as a picture.
 *
 * @module
 */
import { linePanel, picture } from './drawing.ts'
import type { EnduranceLook, EnduranceResult } from './endurance-result.ts'
import { loadInWords } from './machine-load.ts'

const COLOUR = '#2f6f9f'

/**
 * Draws memory and descriptors over time.
 *
 * @returns An SVG file.
 */
export function drawEndurance({ looks }: Pick<EnduranceResult, 'looks'>): string {
  const minutes = `${((looks.at(-1)?.second ?? 0) / 60).toFixed(0)} minutes`
  const over = (measure: (look: EnduranceLook) => number) => [
    { colour: COLOUR, points: looks.map((look) => [look.second, measure(look)] as const) },
  ]
  return picture(
    [
      linePanel(
        'Memory (RSS), MB',
        over(({ rssMb }) => rssMb),
        minutes,
      ),
      linePanel(
        'Open descriptors',
        over(({ descriptors }) => descriptors),
        minutes,
      ),
    ],
    [{ name: 'Tower of Omens', colour: COLOUR }],
  )
}

/**
 * Says what a run came to.
 *
 * @param result The run.
 * @param faults What is wrong with it.
 * @returns A few sentences, and the faults.
 */
export function enduranceText(result: EnduranceResult, faults: readonly string[]): string {
  const { changes, looks } = result
  const failed = Object.values(result.failures).reduce((sum, count) => sum + count, 0)
  const settled = looks.slice(Math.floor(looks.length / 3))
  const range = (measure: (look: EnduranceLook) => number): string => {
    const values = settled.map(measure)
    return `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`
  }
  const minutes = (looks.at(-1)?.second ?? 0) / 60
  return [
    `${result.attestations} attestations in ${minutes.toFixed(0)} minutes, ${result.withTpmEvidence} of them with evidence straight from the TPM: ${failed} failed.`,
    `Meanwhile ${changes.reconfigurations} reconfigurations, ${changes.renewals} renewals of the client certificate and ${changes.restarts} restarts of the verifier, 3 s each; ${result.cameAgain} nodes that came while it was away were told so, came again and were admitted.`,
    `${upper(loadInWords(result.load))}. From the first third on: ${range(({ rssMb }) => rssMb)} MB RSS, ${range(({ descriptors }) => descriptors)} descriptors.`,
    ...faults,
    '',
  ].join('\n')
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
