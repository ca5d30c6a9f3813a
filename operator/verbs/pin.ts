/**
 * `towerkeep pin`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { sha256Of } from '../checks/plugin.ts'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { PIN } from '../flags/acting.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { replaceFile } from '../plan/replace-file.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { readIfThere } from '../site/files.ts'
import { discoverSite } from '../site/site.ts'
import { parseSpireConf, SpireConf } from '../site/spire-conf.ts'

/** The plugin of one configuration, and its checksum. */
interface Pinned {
  readonly file: string
  readonly plugin: string
  readonly pinned: string
  readonly found: string
}

/**
 * Compares, or writes, the checksum of the plugin in SPIRE's configuration.
 *
 * @param context Flags, and configuration files; without them those of the running SPIRE.
 * @returns The report: with --check exit 2 when one differs.
 * @throws {OperatorError} A file is no configuration of SPIRE with our plugin.
 */
export async function run({ flags, words, progress, signal }: VerbContext<typeof PIN>): Promise<Report> {
  const site = discoverSite({ configFile: flags.config, environment: process.env })
  const own = [site.spireServer?.file, site.spireAgent?.file].filter((file) => file !== undefined)
  const files = words.length > 0 ? words : own
  if (files.length === 0) throw new OperatorError('TK-CONF-ABSENT', 'no configuration of SPIRE was found: name it')
  const pins = files.map(pinIn)
  if (!flags.write) return comparison(pins)
  const plan: Plan = {
    verb: 'pin',
    subject: files.join(' '),
    onFailure: 'undo',
    steps: pins.map(({ file, found, pinned, plugin }) => {
      const before = readFileSync(file, 'utf8')
      return {
        id: `pin-${file}`,
        title: `write plugin_checksum ${found.slice(0, 12)}... of ${plugin} into ${file}`,
        isDone: () => Promise.resolve(pinned === found),
        act: () => {
          replaceFile(file, withChecksum(before, found))
          return Promise.resolve({ sha256: found, before: pinned })
        },
        verify: () => {
          if (pinIn(file).pinned !== found) throw new Error(`${file} does not have the checksum after it was written`)
          return Promise.resolve()
        },
        undo: () => {
          replaceFile(file, before)
          return Promise.resolve()
        },
      }
    }),
    notes: ['SPIRE reads it at its next start'],
  }
  return changeReport(plan, await runPlan(plan, runOptions(flags, { progress, signal })))
}

function comparison(pins: readonly Pinned[]): Report {
  const wrong = pins.filter(({ pinned, found }) => pinned !== found)
  const lines = pins.map(({ file, plugin, pinned, found }) =>
    pinned === found
      ? `${file}: ${plugin} is ${found}`
      : `${file}: ${plugin} is ${found}, pinned is ${pinned || 'nothing'}`,
  )
  return {
    schema: 'towerkeep/pin/v1',
    exit: wrong.length > 0 ? EXIT.critical : EXIT.ok,
    summary: {
      subject: pins.map(({ file }) => file).join(' '),
      outcome: wrong.length > 0 ? 'look' : 'nothing-to-do',
      messages: lines,
    },
    items: [],
    findings: [],
    unknown: [],
    text: () => `${lines.join('\n')}\n`,
  }
}

function pinIn(file: string): Pinned {
  const read = readIfThere(file)
  const conf = read !== undefined && 'text' in read ? parseSpireConf(file, read.text) : undefined
  const path = ['plugins', 'NodeAttestor', 'keylime'] as const
  const plugin = conf instanceof SpireConf ? conf.text(...path, 'plugin_cmd')?.value : undefined
  if (!(conf instanceof SpireConf) || plugin === undefined) {
    throw new OperatorError('TK-CONF-INVALID', `${file}: has no NodeAttestor "keylime" with plugin_cmd`)
  }
  const found = sha256Of(plugin)
  if (found === undefined) throw new OperatorError('TK-CONF-INVALID', `${file}: plugin_cmd ${plugin} cannot be read`)
  return { file, plugin, pinned: conf.text(...path, 'plugin_checksum')?.value.toLowerCase() ?? '', found }
}

const BLOCK =
  /NodeAttestor["\s:[\]{]+"?keylime"?(?![\w-])[\s\S]*?(?=NodeAttestor|KeyManager|DataStore|WorkloadAttestor|UpstreamAuthority|Notifier|SVIDStore|BundlePublisher|CredentialComposer|$)/
// At the beginning of a line or a block: what stands in a comment does not count.
const CHECKSUM = /([\n{,]\s*"?plugin_checksum"?\s*[=:]\s*)"[^"]*"/
const COMMAND = /([\n{])([ \t]*)(plugin_cmd\s*=\s*"[^"]*")/
const JSON_COMMAND = /("plugin_cmd"\s*:\s*"[^"]*")/

// Only the line changes; where there is none, it follows plugin_cmd. HCL and JSON differ in their quotes alone.
function withChecksum(text: string, sum: string): string {
  return text.replace(BLOCK, (block) => {
    if (CHECKSUM.test(block)) return block.replace(CHECKSUM, `$1"${sum}"`)
    if (COMMAND.test(block)) return block.replace(COMMAND, `$1$2$3\n$2plugin_checksum = "${sum}"`)
    return block.replace(JSON_COMMAND, `$1, "plugin_checksum": "${sum}"`)
  })
}
