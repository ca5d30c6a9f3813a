/**
 * The steps of `enroll apply`, on the node itself.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sha256Of } from '../checks/plugin.ts'
import { OperatorError } from '../operator-error.ts'
import type { Step } from '../plan/step.ts'
import { readCertSpecs } from '../renew/cert-spec.ts'
import { leafIn } from '../renew/check-pair.ts'
import { failureOf, runProgram } from '../renew/commands.ts'
import { dueOf } from '../renew/due.ts'
import { renewalPlan } from '../renew/renewal.ts'
import { OpenBao } from '../sources/openbao.ts'

/** What applying needs. */
export interface Applying {
  /** Folder that prepare wrote. */
  readonly from: string
  /** Prefix of every path on the node; empty on a node. */
  readonly root: string
  readonly wrappedSecretId?: string | undefined
  readonly roleId?: string | undefined
  readonly start: boolean
  readonly timeoutMs: number
  readonly say: (line: string) => void
}

/**
 * Reads what prepare wrote, and holds it to its checksums.
 *
 * @param from The folder.
 * @returns Path on the node, without its first slash, to content.
 * @throws {OperatorError} `TK-USAGE`: a file is missing or was changed.
 */
export function preparedFiles(from: string): ReadonlyMap<string, string> {
  const sums = textIn(join(from, 'SHA256SUMS'), from)
  return new Map(
    sums
      .trim()
      .split('\n')
      .map((line): [string, string] => {
        const [sum = '', path = ''] = line.split('  ')
        const text = textIn(join(from, path), from)
        if (createHash('sha256').update(text).digest('hex') !== sum || path.includes('..')) {
          throw new OperatorError(
            'TK-USAGE',
            `${join(from, path)} is not what enroll prepare wrote: copy the folder again`,
          )
        }
        return [path, text]
      }),
  )
}

function textIn(file: string, from: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new OperatorError('TK-USAGE', `${from}: ${file} cannot be read; is that what enroll prepare wrote?`, {
      cause,
    })
  }
}

/**
 * Plans the steps: files, credential, certificates, plugin, services. Each can be run again.
 *
 * @param applying Folder, root, credential.
 * @param files From {@link preparedFiles}.
 * @returns The steps.
 */
export function applySteps(applying: Applying, files: ReadonlyMap<string, string>): readonly Step[] {
  const certs = join(applying.root, 'etc/towerkeep/certs.d')
  return [
    installStep(applying, files),
    ...(applying.wrappedSecretId === undefined && applying.roleId === undefined
      ? []
      : [credentialStep(applying, files)]),
    ...[...files.keys()]
      .filter((path) => path.startsWith('etc/towerkeep/certs.d/'))
      .toReversed()
      .map((path) => certificateStep(certs, path, applying)),
    pluginStep(applying),
    ...(applying.start ? [startStep()] : []),
  ]
}

function installStep({ root, from }: Applying, files: ReadonlyMap<string, string>): Step {
  const at = (path: string): string => join(root === '' ? '/' : root, path)
  const wanted = [...files].map(([path, text]) => [at(path), withRoot(text, root)] as const)
  return {
    id: 'install',
    title: `put ${files.size} files of ${from} in place`,
    isDone: () =>
      Promise.resolve(
        wanted.every(([path, text]) => existsSync(path) && withoutSum(readFileSync(path, 'utf8')) === text),
      ),
    act: () => {
      for (const [path, text] of wanted) {
        mkdirSync(dirname(path), { recursive: true })
        if (existsSync(path) && withoutSum(readFileSync(path, 'utf8')) !== text)
          copyFileSync(path, `${path}.before-enroll`)
        writeFileSync(`${path}.new`, text)
        renameSync(`${path}.new`, path)
      }
      return Promise.resolve({ files: wanted.length })
    },
  }
}

// The checksum of the plugin is written into the file afterwards.
function withoutSum(text: string): string {
  return text.replace(/plugin_checksum = "[0-9a-f]*"/, 'plugin_checksum = ""')
}

/** Paths within the files move with the root, so that the same files serve a node in a folder. */
function withRoot(text: string, root: string): string {
  return root === '' ? text : text.replaceAll(/(["[\s])\/(etc|run|var)\//g, `$1${root}/$2/`)
}

function credentialStep(
  { root, wrappedSecretId, roleId, timeoutMs }: Applying,
  files: ReadonlyMap<string, string>,
): Step {
  const folder = join(root === '' ? '/' : root, 'etc/towerkeep')
  const [roleFile, secretFile] = [join(folder, 'role-id'), join(folder, 'secret-id')]
  return {
    id: 'credential',
    title: 'unwrap the secret-id, which can be done once, and keep it for renewals',
    isDone: () => Promise.resolve(existsSync(secretFile) && statSync(secretFile).size > 0 && existsSync(roleFile)),
    act: async (signal) => {
      const [spec] = readCertSpecs(join(folder, 'certs.d')).filter(({ issuer }) => issuer === 'openbao')
      if (spec?.address === undefined || spec.ca_file === undefined)
        throw new Error(`${files.size} files name no OpenBao`)
      // Before the token is used up, which can be done once.
      if (roleId === undefined && !existsSync(roleFile))
        throw new OperatorError('TK-USAGE', `${roleFile} is not there: give --role-id beside --wrapped-secret-id`)
      const place = { name: 'openbao', address: spec.address, caFile: spec.ca_file, timeoutMs }
      const secret =
        wrappedSecretId === undefined ? undefined : await OpenBao.unwrapSecretId(place, wrappedSecretId, signal)
      mkdirSync(folder, { recursive: true })
      if (roleId !== undefined) writeFileSync(roleFile, `${roleId}\n`, { mode: 0o600 })
      if (secret !== undefined) writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 })
      return { unwrapped: secret !== undefined }
    },
  }
}

function certificateStep(certs: string, path: string, { timeoutMs, say }: Applying): Step {
  const name = path.replace(/^.*\/|\.hcl$/g, '')
  const specOf = () => {
    const spec = readCertSpecs(certs).find((one) => one.name === name)
    if (spec === undefined) throw new Error(`${path} describes no certificate`)
    // Nothing runs yet that could be told of the new files.
    return { ...spec, reload: [], handshake: undefined }
  }
  return {
    id: `certificate-${name}`,
    title: `make the key of certificate ${name} here, and have it certified`,
    isDone: () =>
      Promise.resolve(
        existsSync(join(certs, `${name}.hcl`)) && dueOf(leafIn(specOf().cert_file), Date.now(), false) === undefined,
      ),
    act: async (signal) => {
      const spec = specOf()
      mkdirSync(dirname(spec.cert_file), { recursive: true })
      const plan = renewalPlan(spec, { timeoutMs, now: Date.now(), say })
      for (const step of plan.steps) await step.act(signal)
      return { serial: leafIn(spec.cert_file)?.serialNumber ?? '' }
    },
  }
}

function pluginStep({ root }: Applying): Step {
  const conf = join(root === '' ? '/' : root, 'etc/spire/agent.conf')
  const pinned = (): string | undefined =>
    existsSync(conf) ? /plugin_checksum = "([0-9a-f]{64})"/.exec(readFileSync(conf, 'utf8'))?.[1] : undefined
  const sum = (): string | undefined => {
    const plugin = existsSync(conf) ? /plugin_cmd = "([^"]+)"/.exec(readFileSync(conf, 'utf8'))?.[1] : undefined
    return plugin === undefined ? undefined : sha256Of(plugin)
  }
  return {
    id: 'pin',
    title: 'write the checksum of the agent half into agent.conf',
    isDone: () => Promise.resolve(pinned() !== undefined && pinned() === sum()),
    act: () => {
      const found = sum()
      if (found === undefined) throw new Error(`${conf} names a plugin that is not installed`)
      const text = readFileSync(conf, 'utf8').replace(/plugin_checksum = "[0-9a-f]*"/, `plugin_checksum = "${found}"`)
      writeFileSync(`${conf}.new`, text)
      renameSync(`${conf}.new`, conf)
      return Promise.resolve({ sha256: found })
    },
  }
}

function startStep(): Step {
  const words = [
    'systemctl',
    'enable',
    '--now',
    'keylime_agent.service',
    'spire-agent.service',
    'towerkeep-renew.timer',
  ]
  return {
    id: 'start',
    title: words.join(' '),
    act: async () => {
      await runProgram(['systemctl', 'daemon-reload'], { timeoutMs: 60_000 })
      await runProgram(['systemd-tmpfiles', '--create'], { timeoutMs: 60_000 })
      const failure = failureOf(words, await runProgram(words, { timeoutMs: 60_000 }))
      if (failure !== undefined) throw new Error(failure)
      return {}
    },
  }
}
