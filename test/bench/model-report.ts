/**
 * The measured fleets and the arithmetic from them, as tables.
 *
 * @module
 */
import { table } from './markdown.ts'
import { FLEETS, needsOf, nodeCost } from './model.ts'
import type { FleetPass, ModelResult } from './model-run.ts'

/**
 * Prints what was measured.
 *
 * @returns A Markdown table; empty without measurements.
 */
export function modelTable(results: readonly ModelResult[]): string {
  const rows = results.flatMap(({ nodes, first, again, pluginRssMb, spireRssMb }) => [
    passRow(nodes, 'first time', first, ['', '']),
    passRow(nodes, 'again', again, [pluginRssMb.toFixed(0), spireRssMb.toFixed(0)]),
  ])
  const head = ['nodes', '', 'attestations/s', 'p99 ms', 'plugin CPU ms', 'spire-server CPU ms', 'verifier requests']
  return table(
    'Fleets through a real spire-server, for each node',
    [...head, 'registrar requests', 'plugin RSS MB', 'spire-server RSS MB', 'failed'],
    rows,
  )
}

/**
 * Prints what fleets need.
 *
 * @param results Measured fleets.
 * @returns A Markdown table; empty without measurements.
 */
export function needsTable(results: readonly ModelResult[]): string {
  if (results.length === 0) return ''
  const cost = nodeCost(results)
  const rows = FLEETS.map((fleet) => {
    const needs = needsOf(cost, fleet)
    return [
      fleet.nodes.toLocaleString('en'),
      `${fleet.servers}, ${fleet.verifiers}, ${fleet.registrars}`,
      needs.attestationsPerSecond.toFixed(1),
      `${percent(needs.pluginCores / fleet.servers)}, ${percent(needs.spireCores / fleet.servers)}`,
      percent(needs.verifierShare),
      percent(needs.registrarShare),
      needs.pluginRssMb.toFixed(0),
      `${needs.stormSeconds.toFixed(0)} (${needs.stormBound})`,
    ]
  })
  const head = ['nodes', 'servers, verifiers, registrars', 'attestations/s', 'of a core of each server: plugin, SPIRE']
  return table(
    'Needs',
    [...head, 'of each verifier', 'of each registrar', 'plugin RSS MB', 'all at once: seconds, by what'],
    rows,
  )
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
}

function passRow(nodes: number, what: string, pass: FleetPass, memory: readonly string[]): string[] {
  return [
    String(nodes),
    what,
    pass.perSecond.toFixed(0),
    pass.p99Ms.toFixed(0),
    pass.pluginCpuMs.toFixed(2),
    pass.spireCpuMs.toFixed(2),
    pass.verifierRequests.toFixed(2),
    pass.registrarRequests.toFixed(2),
    ...memory,
    String(pass.failed),
  ]
}
