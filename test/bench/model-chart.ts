/**
 * The measured fleets and the arithmetic from them, drawn.
 *
 * @module
 */
import { type Line, linePanel, picture } from './drawing.ts'
import { needsOf, nodeCost } from './model.ts'
import type { ModelResult } from './model-run.ts'

const MEASURED = '#2f6f9f'
const COMPUTED = '#c9833b'
const SETTINGS = { agentTtlS: 3_600, verifiers: 1, registrars: 1, servers: 1 } as const

/**
 * Draws CPU and memory of measured fleets beside what the arithmetic says of them, and CPU up to 100,000 nodes.
 *
 * @returns An SVG file; without panels when nothing was measured.
 */
export function drawModel(results: readonly ModelResult[] = []): string {
  const legend = [
    { name: 'Measured', colour: MEASURED },
    { name: 'Arithmetic', colour: COMPUTED },
  ]
  if (results.length === 0) return picture([], legend)
  const cost = nodeCost(results)
  const sizes = [0, ...results.map(({ nodes }) => nodes)]
  const lines = (measure: (one: ModelResult) => number, computed: (nodes: number) => number): Line[] => [
    { colour: MEASURED, points: results.map((one) => [one.nodes, measure(one)] as const) },
    { colour: COMPUTED, points: sizes.map((nodes) => [nodes, computed(nodes)] as const), dashed: true },
  ]
  const needs = (nodes: number) => needsOf(cost, { ...SETTINGS, nodes })
  const upTo = [0, 20_000, 40_000, 60_000, 80_000, 100_000]
  return picture(
    [
      linePanel(
        'A pass over the fleet: plugin CPU, seconds, by nodes',
        lines(
          ({ nodes, again }) => (nodes * again.pluginCpuMs) / 1_000,
          (nodes) => (nodes * cost.pluginCpuMs) / 1_000,
        ),
      ),
      linePanel(
        'The same of spire-server',
        lines(
          ({ nodes, again }) => (nodes * again.spireCpuMs) / 1_000,
          (nodes) => (nodes * cost.spireCpuMs) / 1_000,
        ),
      ),
      linePanel(
        'Memory of the plugin (RSS), MB, by nodes',
        lines(
          ({ pluginRssMb }) => pluginRssMb,
          (nodes) => needs(nodes).pluginRssMb,
        ),
      ),
      linePanel('Both, percent of a core, by nodes, agent_ttl one hour', [
        {
          colour: COMPUTED,
          dashed: true,
          points: upTo.map((nodes) => [nodes, (needs(nodes).pluginCores + needs(nodes).spireCores) * 100] as const),
        },
      ]),
    ],
    legend,
  )
}
