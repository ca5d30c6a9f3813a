/**
 * Checks of secrets that lie about, and of checks that were turned off.
 *
 * @module
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Finding, finding } from '../findings/finding.ts'
import type { Unit } from '../node/units.ts'
import { readCertSpecs } from '../renew/cert-spec.ts'
import { readIfThere } from '../site/files.ts'
import { OpenBao } from '../sources/openbao.ts'
import type { Check } from './check.ts'
import { unseen, type View } from './view.ts'

/** Usual places of vault tokens. */
const TOKEN_FILES = [
  '/root/.vault-token',
  '/root/.bao-token',
  '/etc/openbao/token',
  '/etc/vault/token',
  '/etc/keylime/vault-token',
  '/etc/keylime/bao-token',
]
const SCRIPT_FOLDERS = ['/usr/local/bin', '/usr/local/sbin', '/opt/keylime/bin', '/opt/spire/bin', '/etc/keylime']
const TURNED_OFF: readonly (readonly [RegExp, string])[] = [
  [/(?:VAULT|BAO)_SKIP_VERIFY\s*=\s*["']?(?:1|true)/i, 'SKIP_VERIFY'],
  [/InsecureSkipVerify\s*[:=]\s*true/i, 'InsecureSkipVerify'],
  [/StrictHostKeyChecking[= ]+no/i, 'StrictHostKeyChecking=no'],
  [/\bcurl\b[^\n|;]*\s(?:-[a-zA-Z]*k\b|--insecure\b)/, 'curl -k'],
  [/NODE_TLS_REJECT_UNAUTHORIZED\s*=\s*["']?0/, 'NODE_TLS_REJECT_UNAUTHORIZED=0'],
]
const OURS = /spire|keylime|openbao|\bbao\b|vault|step-ca|towerkeep/i
const MAX_SCRIPT_BYTES = 256 * 1024

/** The checks. */
export const SECRET_CHECKS: readonly Check[] = [
  {
    id: 'secrets-tokens',
    area: 'secrets',
    finds: ['TK-SEC-TOKEN'],
    needs: 'root; the vault for certainty',
    blind: 'tokens in other files',
    run: tokenFindings,
  },
  {
    id: 'secrets-unverified',
    area: 'secrets',
    finds: ['TK-SEC-UNVERIFIED'],
    needs: 'unit files, scripts in /usr/local and /opt',
    blind: 'programs that are no scripts',
    run: (view) => textsOf(view).flatMap(({ file, text }) => turnedOff(file, text)),
  },
  {
    id: 'secrets-variables',
    area: 'secrets',
    finds: ['TK-SEC-VARIABLES'],
    needs: 'unit files, scripts in /usr/local and /opt',
    blind: 'variables that a login shell sets',
    run: (view) => textsOf(view).flatMap(({ file, text }) => variableFindings(file, text)),
  },
  {
    id: 'secrets-writers',
    area: 'certs',
    finds: ['TK-CERT-WRITERS'],
    needs: 'unit files, scripts in /usr/local and /opt, /etc/towerkeep/certs.d',
    blind: 'programs that are no scripts',
    run: writerFindings,
  },
]

async function tokenFindings(view: View): Promise<readonly Finding[]> {
  const found = await Promise.all(
    TOKEN_FILES.map((path) => join(view.root, path)).map(async (file): Promise<readonly Finding[]> => {
      const read = readIfThere(file)
      if (read === undefined) return []
      if ('problem' in read) return [unseen(file, read.problem.message)]
      const mode = statSync(file).mode & 0o777
      const open = (mode & 0o077) === 0 ? [] : [`mode ${mode.toString(8).padStart(4, '0')} lets others read it`]
      const may = await powersOf(read.text.trim(), view)
      const wrong = [...open, ...may]
      return wrong.length === 0 ? [] : [finding('TK-SEC-TOKEN', { subject: file, message: wrong.join(', ') })]
    }),
  )
  return found.flat()
}

// What the vault says of a token; the vault is the one that renewals ask.
async function powersOf(token: string, view: View): Promise<readonly string[]> {
  const spec = readCertSpecs(view.certsFolder).find(({ issuer }) => issuer === 'openbao')
  if (spec?.address === undefined || spec.ca_file === undefined) return []
  const place = { name: 'openbao', address: spec.address, caFile: spec.ca_file, timeoutMs: view.timeoutMs }
  try {
    const session = await OpenBao.login(place, { kind: 'token', token })
    const { policies, ttl } = await session.lookupSelf(view.signal)
    return [
      ...(policies.includes('root') ? ['may do everything (policy root)'] : []),
      ...(ttl === 0 ? ['never ends'] : []),
    ]
  } catch {
    return []
  }
}

interface Text {
  readonly file: string
  readonly text: string
}

/** Units and scripts that have to do with a tower. */
function textsOf({ units, root }: View): readonly Text[] {
  const fromUnits = [...units.units.values()]
    .filter((unit: Unit) => OURS.test(unit.name) || OURS.test(unit.text))
    .map(({ files, text }) => ({ file: files[0] ?? '', text }))
  const scripts = SCRIPT_FOLDERS.flatMap((folder) => scriptsIn(join(root, folder)))
  return [...fromUnits, ...scripts]
}

function scriptsIn(folder: string): readonly Text[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry): readonly Text[] => {
      const file = join(folder, entry.name)
      if (!entry.isFile() || statSync(file).size > MAX_SCRIPT_BYTES) return []
      const text = readFileSync(file, 'utf8')
      return text.startsWith('#!') && OURS.test(text) ? [{ file, text }] : []
    })
  } catch {
    return []
  }
}

function turnedOff(file: string, text: string): readonly Finding[] {
  return TURNED_OFF.flatMap(([pattern, name]) => {
    const match = pattern.exec(text)
    if (match === null) return []
    const line = text.slice(0, match.index).split('\n').length
    return [finding('TK-SEC-UNVERIFIED', { subject: `${file}:${line}`, message: `has ${name}` })]
  })
}

function variableFindings(file: string, text: string): readonly Finding[] {
  const sets = (family: string): boolean => new RegExp(`\\b${family}_(ADDR|TOKEN|CACERT)\\s*=`).test(text)
  const calls = (program: string): boolean =>
    new RegExp(`(^|[\\s/;&|$("'])${program}\\s+(write|read|login|kv|operator|token)\\b`, 'm').test(text)
  const [bao, vault] = [sets('BAO'), sets('VAULT')]
  if (bao === vault) return []
  // OpenBao reads both families, Vault only its own; under which name it was installed nobody can see here.
  const wrong = bao && (calls('vault') || calls('bao'))
  if (!wrong) return []
  return [
    finding('TK-SEC-VARIABLES', {
      subject: file,
      message: 'sets BAO_* alone: a Vault that was installed as bao reads VAULT_* and asks 127.0.0.1',
    }),
  ]
}

function writerFindings(view: View): readonly Finding[] {
  const texts = textsOf(view)
  return readCertSpecs(view.certsFolder).flatMap(({ name, cert_file: certFile }) => {
    const others = texts.filter(
      ({ text }) =>
        text.includes(certFile) && /\b(cp|mv|install|tee|>)\s/.test(text) && !text.includes('towerkeep renew'),
    )
    return others.map(({ file }) =>
      finding('TK-CERT-WRITERS', {
        subject: certFile,
        message: `${file} writes it too, beside towerkeep renew ${name}`,
      }),
    )
  })
}
