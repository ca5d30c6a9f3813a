/**
 * A program as it lies in an executable: compressed, with the code cache that spares its compilation.
 *
 * Both texts below run in the Node.js that goes into the executable, not in the one that builds.
 *
 * @module
 */

/** Name of the executable's asset with the program, and of the file it is made from. */
export const PROGRAM = 'program'
/** The same of the code cache. */
export const CODE_CACHE = 'cache'

/** Name of the program's script while it is packed, and in stack traces; a code cache is bound to it. */
export const SCRIPT = 'main.cjs'

const PARAMETERS = "['exports', 'require', 'module', '__filename', '__dirname']"

/**
 * The script that packs: reads the program in the working directory, writes it compressed, and its code cache beside it if
 * there is an argument.
 *
 * It must run with the flags that the program will run with, since V8 takes no cache made under others.
 */
export const PACKER: string = `const { readFileSync, writeFileSync } = require('node:fs')
const { compileFunction } = require('node:vm')
const { constants, zstdCompressSync } = require('node:zlib')
const pack = (name, bytes) => writeFileSync(name, zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 19 } }))
const code = readFileSync('${SCRIPT}', 'utf8')
pack('${PROGRAM}', code)
if (process.argv.length > 2) {
  const compiled = (how) => compileFunction(code, ${PARAMETERS}, { filename: '${SCRIPT}', ...how })
  const { cachedData } = compiled({ produceCachedData: true })
  if (compiled({ cachedData }).cachedDataRejected) throw new Error('it does not take back its own code cache')
  pack('${CODE_CACHE}', cachedData)
}
`

/**
 * The script that the executable runs: unpacks the program, compiles it, and hands it what Node.js gives any CommonJS
 * module. A code cache that is not taken is no error: the program is then compiled as without one.
 */
export const LOADER: string = `const { getAssetKeys, getRawAsset } = require('node:sea')
const { compileFunction, constants } = require('node:vm')
const { zstdDecompressSync } = require('node:zlib')
const unpacked = (name) => zstdDecompressSync(getRawAsset(name))
const compiled = compileFunction(unpacked('${PROGRAM}').toString('utf8'), ${PARAMETERS}, {
  filename: '${SCRIPT}',
  cachedData: getAssetKeys().includes('${CODE_CACHE}') ? unpacked('${CODE_CACHE}') : undefined,
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
compiled(exports, require, module, __filename, __dirname)
`
