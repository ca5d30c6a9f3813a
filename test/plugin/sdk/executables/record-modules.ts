/**
 * Preloaded with `--import`: writes the URL of each module that is loaded afterwards to the file in `MODULES_FILE`.
 *
 * @module
 */
import { appendFileSync } from 'node:fs'
import { registerHooks } from 'node:module'

const file = process.env['MODULES_FILE'] ?? ''

registerHooks({
  load(url, context, next) {
    appendFileSync(file, `${url}\n`)
    return next(url, context)
  },
})
