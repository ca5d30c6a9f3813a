/**
 * Arguments that never were for the plugin: Node.js looks for a few everywhere on its command line.
 *
 * @module
 */

const TAKEN_BY_NODE =
  /^--(?:env-file|env-file-if-exists|experimental-config-file|experimental-default-config-file)(?:=|$)/

/**
 * Refuses arguments that Node.js takes wherever they stand, in an executable too.
 *
 * @param args Arguments of the plugin, such as a host's `plugin_args`.
 * @throws {Error} One of them makes Node.js read a file of settings.
 */
export function refuseNodeArguments(args: readonly string[]): void {
  const taken = args.find((arg) => TAKEN_BY_NODE.test(arg))
  if (taken === undefined) return
  throw new Error(
    `argument ${JSON.stringify(taken)} is one that Node.js takes for itself; a plugin has no use for it, remove it`,
  )
}
