/**
 * Checks of whether the machine comes up by itself after a power cut.
 *
 * @module
 */
import { dirname } from 'node:path'
import { type Finding, finding } from '../findings/finding.ts'
import type { Unit, UnitFiles } from '../node/units.ts'
import { readCertSpecs } from '../renew/cert-spec.ts'
import type { Check } from './check.ts'
import type { View } from './view.ts'

/** What starts programs of a tower. */
const OURS = /spire|keylime|openbao|\bbao\b|vault|step-ca|towerkeep/i
/** Names under which operators have looked for units in vain. */
const MISNOMERS: Readonly<Record<string, string>> = {
  'keylime-agent.service': 'keylime_agent.service',
  'keylime-verifier.service': 'keylime_verifier.service',
  'keylime-registrar.service': 'keylime_registrar.service',
  'spire_agent.service': 'spire-agent.service',
  'spire_server.service': 'spire-server.service',
}

/** The checks. */
export const BOOT_CHECKS: readonly Check[] = [
  {
    id: 'boot-cycle',
    area: 'boot',
    finds: ['TK-BOOT-CYCLE'],
    needs: "systemd's unit files",
    blind: 'waiting within scripts',
    run: ({ units }) => cycleFindings(units),
  },
  {
    id: 'boot-credential',
    area: 'boot',
    finds: ['TK-BOOT-CREDENTIAL'],
    needs: '/etc/towerkeep/certs.d',
    blind: 'renewal by other programs',
    run: credentialFindings,
  },
  {
    id: 'boot-run',
    area: 'boot',
    finds: ['TK-BOOT-RUN'],
    needs: "SPIRE's configuration, tmpfiles.d, unit files",
    blind: 'folders that scripts make',
    run: runFolderFindings,
  },
  {
    id: 'boot-protect',
    area: 'boot',
    finds: ['TK-BOOT-PROTECT'],
    needs: "keylime_agent's unit file",
    blind: 'limits that are not of systemd',
    run: ({ units }) => protectFindings(units.units.get('keylime_agent.service')),
  },
  {
    id: 'boot-units',
    area: 'boot',
    finds: ['TK-BOOT-UNIT'],
    needs: "systemd's unit files",
    blind: 'names within scripts',
    run: ({ units }) => nameFindings(units),
  },
]

function cycleFindings({ units }: UnitFiles): readonly Finding[] {
  const ours = new Map([...units].filter(([name, { text }]) => OURS.test(name) || OURS.test(text)))
  const next = (name: string): readonly string[] => {
    const unit = ours.get(name)
    if (unit === undefined) return []
    const hard = ['Requires', 'BindsTo', 'Requisite'].flatMap((key) => unit.values('Unit', key))
    return hard.flatMap((value) => value.split(/\s+/)).filter((other) => ours.has(other))
  }
  const cycle = firstCycle([...ours.keys()], next)
  if (cycle === undefined) return []
  const drawn = [...cycle, cycle[0]].join(' -> ')
  return [finding('TK-BOOT-CYCLE', { subject: cycle[0] ?? '', message: drawn, evidence: { units: cycle.length } })]
}

function firstCycle(
  names: readonly string[],
  next: (name: string) => readonly string[],
): readonly string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  const walk = (name: string): readonly string[] | undefined => {
    const at = path.indexOf(name)
    if (at >= 0) return path.slice(at)
    if (done.has(name)) return undefined
    path.push(name)
    for (const other of next(name)) {
      const cycle = walk(other)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(name)
    return undefined
  }
  for (const name of names) {
    const cycle = walk(name)
    if (cycle !== undefined) return cycle
  }
  return undefined
}

function credentialFindings({ certsFolder }: View): readonly Finding[] {
  return readCertSpecs(certsFolder)
    .filter(
      (spec) =>
        spec.issuer === 'openbao' && spec.svid_cert_file !== undefined && spec.approle_role_id_file === undefined,
    )
    .map(({ from, name }) =>
      finding('TK-BOOT-CREDENTIAL', { subject: from, message: `${name} can log in with the SVID alone` }),
    )
}

function runFolderFindings({ site, units }: View): readonly Finding[] {
  // Without units of SPIRE something else starts it, of which nothing can be said.
  const starters = [...units.units.values()].filter(({ name }) => name.startsWith('spire'))
  if (starters.length === 0) return []
  const sockets = [site.spireServer?.text('server', 'socket_path'), site.spireAgent?.text('agent', 'socket_path')]
  return sockets.flatMap((socket) => {
    const folder = socket === undefined ? '' : dirname(socket.value)
    if (socket === undefined || !folder.startsWith('/run/')) return []
    const top = folder.split('/').slice(0, 3).join('/')
    const made =
      units.tmpfiles.includes(top) ||
      starters.some((unit) =>
        unit
          .values('Service', 'RuntimeDirectory')
          .join(' ')
          .split(/\s+/)
          .some((name) => `/run/${name}`.startsWith(top)),
      )
    return made
      ? []
      : [
          finding('TK-BOOT-RUN', {
            subject: socket.from,
            message: `${folder} is made by no tmpfiles.d line and no RuntimeDirectory=`,
          }),
        ]
  })
}

function protectFindings(unit: Unit | undefined): readonly Finding[] {
  if (unit === undefined || unit.values('Service', 'ProtectSystem').at(-1) !== 'strict') return []
  const writable =
    unit.values('Service', 'ReadWritePaths').join(' ') + unit.values('Service', 'StateDirectory').join(' ')
  if (writable.includes('keylime')) return []
  return [
    finding('TK-BOOT-PROTECT', {
      subject: unit.files.join(', '),
      message: 'ProtectSystem=strict, and no ReadWritePaths= for /var/lib/keylime',
    }),
  ]
}

function nameFindings({ units }: UnitFiles): readonly Finding[] {
  return [...units.values()].flatMap((unit) =>
    Object.entries(MISNOMERS).flatMap(([wrong, right]) => {
      const isMeant = new RegExp(
        `(?<![\\w@.-])${wrong.replace('.service', '(\\.service)?').replaceAll('-', '[-]')}(?![\\w.-])`,
      )
      if (!isMeant.test(unit.text) || units.has(wrong) || unit.name === wrong) return []
      return [
        finding('TK-BOOT-UNIT', {
          subject: unit.files[0] ?? unit.name,
          message: `names ${wrong}, which does not exist; meant is ${right}`,
        }),
      ]
    }),
  )
}
