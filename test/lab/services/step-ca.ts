/**
 * step-ca, "Sword of Omens": the second CA below the root, which gives certificates by ACME.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessStarter, RigProcess } from '../processes/processes.ts'
import type { RootCa } from './pki.ts'

/** Where step-ca serves. */
export interface StepCaOptions {
  readonly program: string
  readonly dir: string
  readonly name: string
  readonly port: number
}

/** Starts step-ca with an ACME provisioner called `acme`. */
export function startStepCa(starter: ProcessStarter, root: RootCa, options: StepCaOptions): RigProcess {
  const { dir } = options
  mkdirSync(join(dir, 'db'), { recursive: true, mode: 0o700 })
  const file = (name: string): string => join(dir, name)
  const pair = root.issueIntermediate('Sword of Omens')
  writeFileSync(file('root.crt'), root.certificate())
  writeFileSync(file('sword.crt'), pair.cert)
  writeFileSync(file('sword.key'), pair.key, { mode: 0o600 })
  const configuration = {
    root: file('root.crt'),
    crt: file('sword.crt'),
    key: file('sword.key'),
    address: `:${options.port}`,
    dnsNames: [options.name],
    logger: { format: 'text' },
    db: { type: 'badgerv2', dataSource: file('db') },
    authority: { provisioners: [{ type: 'ACME', name: 'acme' }] },
  }
  writeFileSync(file('ca.json'), JSON.stringify(configuration, undefined, 2), { mode: 0o600 })
  return starter.start({ name: 'step-ca', command: options.program, args: [file('ca.json')], env: { STEPPATH: dir } })
}
