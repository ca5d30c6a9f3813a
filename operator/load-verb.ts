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
  'enroll prepare': () => import('./verbs/enroll-prepare.ts'),
  'enroll apply': () => import('./verbs/enroll-apply.ts'),
  'enroll accept': () => import('./verbs/enroll-accept.ts'),
  'renew devid': () => import('./verbs/renew-devid.ts'),
  recover: () => import('./verbs/recover.ts'),
  revoke: () => import('./verbs/revoke.ts'),
  restore: () => import('./verbs/restore.ts'),
  'policy show': () => import('./verbs/policy-show.ts'),
  'policy lint': () => import('./verbs/policy-show.ts'),
  'policy baseline': () => import('./verbs/policy-baseline.ts'),
  'policy diff': () => import('./verbs/policy-diff.ts'),
  'policy approve': () => import('./verbs/policy-approve.ts'),
  'policy apply': () => import('./verbs/policy-apply.ts'),
  'entries list': () => import('./verbs/entries-list.ts'),
  'entries reparent': () => import('./verbs/entries-reparent.ts'),
  'entries alias': () => import('./verbs/entries-alias.ts'),
  gc: () => import('./verbs/gc.ts'),
  pin: () => import('./verbs/pin.ts'),
  support: () => import('./verbs/support.ts'),
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
