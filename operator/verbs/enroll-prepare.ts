/**
 * `towerkeep enroll prepare`.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { getBundle } from '@tower-of-omens/spire-api'
import { refusedBecause } from '../act/preconditions.ts'
import type { VerbContext } from '../context.ts'
import { emitStep } from '../enroll/emit-files.ts'
import { filesWithSecrets, nodeFiles } from '../enroll/node-files.ts'
import { EXIT } from '../exit-codes.ts'
import type { ENROLL_PREPARE } from '../flags/enroll.ts'
import { OperatorError } from '../operator-error.ts'
import { changeReport } from '../plan/change-report.ts'
import { runOptions } from '../plan/from-flags.ts'
import { runPlan } from '../plan/run.ts'
import type { Plan } from '../plan/step.ts'
import type { Report } from '../report.ts'
import { type OpenSources, openSources } from '../sources/open.ts'
import { OpenBao } from '../sources/openbao.ts'

type Context = VerbContext<typeof ENROLL_PREPARE>

/** Life of the wrapped secret-id. */
const WRAP_SECONDS = 600

/**
 * Writes what a new node needs: text files without any secret, and on the terminal one wrapped secret-id.
 *
 * @param context Flags, and the host's name.
 * @returns The report.
 * @throws {OperatorError} Something is missing, or the SPIRE server is away.
 */
export async function run(context: Context): Promise<Report> {
  const { flags, words, signal, progress } = context
  const [host = ''] = words
  if (!/^[a-z0-9][a-z0-9.-]{0,250}$/.test(host))
    throw new OperatorError('TK-USAGE', `${host || 'the host'}: expected a host name in lower case`)
  // Without it the verifier would be told to reach the node nowhere, and no certificate could be had.
  if (isIP(flags.ip) === 0)
    throw new OperatorError(
      'TK-USAGE',
      `--ip ${flags.ip || 'is missing'}: expected the IP address where the verifier reaches ${host}`,
    )
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const files = nodeFiles(await factsOf(host, sources, context))
  const leaks = filesWithSecrets(files)
  if (leaks.length > 0) throw refusedBecause(`${leaks.join(', ')} would hold a secret: nothing was written`)
  const plan: Plan = {
    verb: 'enroll prepare',
    subject: host,
    onFailure: 'undo',
    steps: [emitStep(flags.emit, files, `write ${files.size} files for ${host} into ${flags.emit}`)],
  }
  const outcome = await runPlan(plan, runOptions(flags, { progress, signal }))
  const wrapped =
    flags['dry-run'] || outcome.exit !== EXIT.ok || flags['vault-token-file'] === undefined
      ? undefined
      : await wrappedSecretId(host, context, sources)
  // On the terminal and nowhere else: it opens the host's credential once, within ten minutes.
  const lines =
    wrapped === undefined
      ? []
      : [`on ${host}: towerkeep enroll apply FOLDER --role-id ROLE-ID --wrapped-secret-id ${wrapped}`]
  return changeReport(plan, outcome, { summary: { host, files: [...files.keys()] }, lines })
}

async function factsOf(host: string, sources: OpenSources, { flags, signal }: Context) {
  const { services, site, trustDomain } = sources
  const [server] = sources.spire
  if (server === undefined) throw new OperatorError('TK-CONF-ABSENT', 'no SPIRE server is known')
  const bundle = await getBundle(server, { signal })
  const registrar = services.registrars.value[0]?.address.host ?? '127.0.0.1'
  const caFile = flags['ca-file'] ?? services.keylimeTls?.value.caFile
  if (caFile === undefined)
    throw new OperatorError('TK-CONF-ABSENT', 'name the CA certificates of the tower with --ca-file')
  return {
    host,
    ip: flags.ip,
    trustDomain,
    spireAddress: flags['spire-address'] ?? registrar,
    spirePort: flags['spire-port'] ?? Number(site.spireServer?.text('server', 'bind_port')?.value ?? 8081),
    registrarIp: flags['registrar-ip'] ?? registrar,
    registrarPort: flags['registrar-port'],
    caChain: readFileSync(caFile, 'utf8'),
    bundle: bundle.authorities
      .filter(({ tainted }) => !tainted)
      .map(({ certificate }) => certificate.toString())
      .toSorted()
      .join(''),
    plugin: flags.plugin,
    evidence: flags.evidence,
    tpmPath: flags['tpm-path'],
    openbao: {
      address: flags['vault-address'],
      mount: flags['vault-mount'],
      role: flags['vault-role'],
      ttl: flags['cert-ttl'],
    },
  }
}

async function wrappedSecretId(host: string, { flags, signal }: Context, { services }: OpenSources): Promise<string> {
  const token = tokenIn(flags['vault-token-file'] ?? '')
  const place = {
    name: 'openbao',
    address: flags['vault-address'],
    caFile: flags['ca-file'] ?? services.keylimeTls?.value.caFile ?? '',
    timeoutMs: flags.timeout,
  }
  const session = await OpenBao.login(place, { kind: 'token', token }, signal)
  return session.wrapSecretId('approle', host.split('.')[0] ?? host, WRAP_SECONDS, signal)
}

function tokenIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `--vault-token-file ${file}: cannot be read`, { cause })
  }
}
