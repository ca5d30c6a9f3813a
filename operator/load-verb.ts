/**
 * Verbs by name, each loaded only when it is called: the rest of the program stays unread.
 *
 * @module
 */
import type { VerbModule } from './context.ts'
import type { VerbSpec } from './flags/spec.ts'
import type { VERBS, VerbName } from './flags/verbs.ts'

type SpecOf<N extends VerbName> = Extract<(typeof VERBS)[number], { readonly name: N }>

/** Each loads a module that exports `run` for its own flags. */
const LOADERS: { readonly [N in VerbName]: () => Promise<VerbModule<SpecOf<N>>> } = {
  status: () => import('./verbs/status.ts'),
  doctor: () => import('./verbs/doctor.ts'),
  renew: () => import('./verbs/renew.ts'),
  explain: () => import('./verbs/explain.ts'),
  watch: () => import('./verbs/watch.ts'),
  completion: () => import('./verbs/completion.ts'),
  help: () => import('./verbs/help.ts'),
  __complete: () => import('./verbs/complete.ts'),
}

/**
 * Loads a verb.
 *
 * @param name Its name.
 * @returns Its module.
 */
export function loadVerb(name: VerbName): Promise<VerbModule<VerbSpec>> {
  return LOADERS[name]()
}
