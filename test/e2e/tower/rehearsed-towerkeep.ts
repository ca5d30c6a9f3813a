/**
 * `towerkeep` in a rehearsal: the built program, with the paths that are a host's own led into the host's folder.
 *
 * @module
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { nodeFiles } from '../../../operator/enroll/node-files.ts'
import type { FlagSpec } from '../../../operator/flags/spec.ts'
import { VERBS } from '../../../operator/flags/verbs.ts'
import type { TowerHost } from '../../lab/tower/host.ts'
import { DOMAIN } from '../../lab/tower/hosts.ts'
import { towerkeepProgram, writeConfiguration } from '../../lab/tower/keeping.ts'
import type { Tower } from '../../lab/tower/tower.ts'

/** Folders that each host has for itself. */
const OWN_FOLDERS = /^\/(?:etc|var\/lib)\/towerkeep\b/

/** Certificates, in the files that `enroll` writes. */
const CERTS = 'etc/keylime/certs'

/**
 * Writes the script that stands for the installed program.
 *
 * @param tower The tower.
 * @param host Where it runs.
 * @param root Holds the host's own `/etc` and `/var/lib`.
 * @returns Lines for bash.
 */
export function towerkeepScript(tower: Tower, host: TowerHost, root: string): string {
  const { agentPlugin } = tower.serverConf().options.parts
  // Two words before one: `renew devid` is not `renew`.
  const verbs = VERBS.toSorted((a, b) => b.name.length - a.name.length)
  const cases = verbs.map(({ name, flags }) => {
    const words = Object.entries<FlagSpec>(flags).flatMap(([flag, spec]) =>
      'default' in spec && typeof spec.default === 'string' && OWN_FOLDERS.test(spec.default)
        ? [`--${flag}`, `${root}${spec.default}`]
        : [],
    )
    if (name === 'enroll apply') words.splice(0, words.length, '--root', root, '--tpm-path', host.measured.tpm.path)
    if (name === 'enroll prepare') words.push('--plugin', agentPlugin)
    return `'${name} '*) more=(${words.map((word) => `'${word}'`).join(' ')}) ;;`
  })
  const config = host.name === 'spire' ? ` --config '${writeConfiguration(tower)}'` : ''
  return `case "$* " in\n${cases.join('\n')}\nesac\nexec '${towerkeepProgram()}' "$@" "\${more[@]}"${config}`
}

/**
 * Describes the certificates of a node for `towerkeep renew`, as `enroll` does, in the places where they are.
 *
 * @param tower The tower.
 * @param host A node that has certificates.
 * @param root From {@link towerkeepScript}.
 */
export async function describeCertificates(tower: Tower, host: TowerHost, root: string): Promise<void> {
  leadToCertificates(host, root)
  const texts = nodeFiles({
    host: `${host.name}.${DOMAIN}`,
    ip: host.ip,
    trustDomain: DOMAIN,
    spireAddress: '',
    spirePort: 0,
    registrarIp: '',
    registrarPort: 0,
    caChain: '',
    bundle: '',
    plugin: '',
    evidence: 'keylime-agent',
    tpmPath: '/dev/tpmrm0',
    openbao: { address: tower.bao.operator.address, mount: 'pki_int', role: 'keylime-agents', ttl: '24h' },
  })
  for (const name of ['agent', 'plugin'])
    describe(root, name, texts.get(`/etc/towerkeep/certs.d/${name}.hcl`)?.replaceAll(/"\/etc\//g, `"${root}/etc/`))
  await allowLogin(tower, host.name, 'keylime-agents', root)
}

/** Describes the server half's client certificate for `towerkeep renew`, with the verifier as the one that must take it. */
export async function describeServerCertificate(tower: Tower, root: string): Promise<void> {
  const { certificates } = tower
  describe(
    root,
    'plugin',
    `cert_file = "${certificates.cert('plugin')}"
key_file = "${certificates.key('plugin')}"
common_name = "spire.${DOMAIN}"
dns_names = ["spire.${DOMAIN}"]
address = "${tower.bao.operator.address}"
ca_file = "${certificates.chain}"
role = "keylime-services"
ttl = "24h"
approle_role_id_file = "${root}/etc/towerkeep/role-id"
approle_secret_id_file = "${root}/etc/towerkeep/secret-id"
trust_to_root = ["${certificates.chain}"]
`,
  )
  await allowLogin(tower, 'spire', 'keylime-services', root)
}

/** Leads the folder in which `enroll` puts certificates to the one from which the host's agents read them. */
export function leadToCertificates({ files }: TowerHost, root: string): void {
  if (existsSync(join(root, CERTS))) return
  mkdirSync(join(root, dirname(CERTS)), { recursive: true })
  symlinkSync(files.certDir, join(root, CERTS))
  const written = join(files.certDir, 'ca-chain.crt')
  if (existsSync(files.chain)) symlinkSync(files.chain, written)
  else symlinkSync(written, files.chain)
}

function describe(root: string, name: string, text = ''): void {
  const folder = join(root, 'etc/towerkeep/certs.d')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.hcl`), text)
}

async function allowLogin(
  { bao }: Tower,
  name: string,
  role: 'keylime-agents' | 'keylime-services',
  root: string,
): Promise<void> {
  const { roleId, secretId } = await bao.allowAppRole(`book-${name}`, role)
  writeFileSync(join(root, 'etc/towerkeep/role-id'), roleId, { mode: 0o600 })
  writeFileSync(join(root, 'etc/towerkeep/secret-id'), secretId, { mode: 0o600 })
}
