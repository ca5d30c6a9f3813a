/**
 * A plugin made into one file, as hosts want it. For build scripts; a plugin itself does not import it.
 *
 * @module
 */

export { type Bundled, type BundleOptions, bundlePlugin } from './bundle-plugin.ts'
