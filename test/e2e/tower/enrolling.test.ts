import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type CommandResult, tryCommand } from '../../lab/processes/commands.ts'
import { pollUntil } from '../../lab/processes/poll.ts'
import { DOMAIN, SERVICE_NAMES, SERVICES_IP } from '../../lab/tower/hosts.ts'
import { runTowerkeep, towerkeepConfig } from '../../lab/tower/keeping.ts'
import { Timeline } from '../../lab/tower/timeline.ts'
import { type FreshNode, freshNode, killAt, textsIn } from './fresh-node.ts'
import { onTower, towerParts, useTower } from './scenario.ts'
import { documentOf, type VerbDocument, verbsOf } from './verbs.ts'

const tower = useTower('twenr')
const { act, attempt, attemptOn, journal } = verbsOf(tower)

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

const spireBin = async (): Promise<string> => (await towerParts()).spireBin
const idOf = ({ host }: FreshNode): string => `spiffe://${DOMAIN}/workload/${host.name}`

/** Words of `enroll prepare` for a node, as its operator gives them. */
async function preparing({ host }: FreshNode, folder: string, more: readonly string[]): Promise<readonly string[]> {
  const { certificates, bao, dir } = tower()
  const tokenFile = join(dir, 'bao-token')
  writeFileSync(tokenFile, bao.operator.token, { mode: 0o600 })
  const flags: Readonly<Record<string, string>> = {
    ip: host.ip,
    emit: folder,
    plugin: (await towerParts()).agentPlugin,
    'tpm-path': host.measured.tpm.path,
    'spire-address': SERVICE_NAMES.spire,
    'registrar-ip': SERVICES_IP,
    'vault-address': bao.operator.address,
    'vault-token-file': tokenFile,
    'ca-file': certificates.chain,
  }
  const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])
  return ['enroll', 'prepare', `${host.name}.${DOMAIN}`, ...given, ...more, '--yes', '--journal', journal()]
}

/** Prepares a node, and finds the wrapped secret-id, which is told to the person at the terminal alone. */
async function prepare(node: FreshNode, folder: string, ...more: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runTowerkeep(tower(), await preparing(node, folder, more))
  expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
  return /--wrapped-secret-id (\S+)/.exec(stdout)?.[1] ?? ''
}

function applying({ root, host }: FreshNode, folder: string, ...more: readonly string[]): readonly string[] {
  return ['enroll', 'apply', folder, '--root', root, '--tpm-path', host.measured.tpm.path, ...more]
}

function accepting({ host }: FreshNode, ek = `sha256:${host.agentId}`, ...more: readonly string[]): readonly string[] {
  return ['enroll', 'accept', host.name, '--agent-id', host.agentId, '--ek', ek, '--baseline', '0,4,7', ...more]
}

const entryOf = (node: FreshNode): readonly string[] => ['--entry', `${idOf(node)}=unix:uid:0`]

async function hasIdentity(node: FreshNode): Promise<void> {
  const own = async (): Promise<boolean> => (await node.identities()).includes(idOf(node))
  await pollUntil(`a workload of ${node.host.name} to get its SVID`, own, { deadlineMs: 30_000, intervalMs: 100 })
}

/** Asks a Keylime agent from a node, with the certificate that the node's agent half has. */
function askAgent({ host }: FreshNode, of: string): Promise<CommandResult> {
  const { pluginCert, pluginKey, chain } = host.files
  const tls = ['--cert', pluginCert, '--key', pluginKey, '--cacert', chain]
  const [program, ...args] = tower().network.on(host.name, [
    'curl',
    '-sS',
    '--max-time',
    '5',
    ...tls,
    `https://${of}.${DOMAIN}:9002/version`,
  ])
  return tryCommand(program, args)
}

onTower('towerkeep takes a fourth host in', () => {
  it('by three commands, which quote its TPM and leave no certificate to SPIRE’s half, also when each step was its last [O07] [T47] [T66] [P04] [P32]', async () => {
    const line = new Timeline('enroll prepare, apply, accept: killed after each step and resumed', ['O07'])
    const node = await freshNode(tower(), await spireBin())
    const { host, root } = node
    try {
      const { roleId } = await tower().bao.allowAppRole(host.name, 'keylime-agents')
      const [first, second] = ['one', 'two'].map((name) => join(tower().dir, `${host.name}-${name}`)) as [
        string,
        string,
      ]
      const config = ['--config', towerkeepConfig(tower())]
      const onServer = (words: readonly string[], at: RegExp): Promise<boolean> =>
        killAt(tower(), 'spire', [...words, ...config], at)
      const withJournal = ['--yes', '--journal', journal()]
      const killed = [await onServer(await preparing(node, first, []), /done: write/)]
      const wrapped = await prepare(node, first)
      const other = await prepare(node, second)
      const files = textsIn(first)
      expect([...files]).toEqual([...textsIn(second)])
      const secrets = [wrapped, other, tower().bao.operator.token, roleId]
      expect(secrets.filter((secret) => secret === '' || [...files.values()].join('').includes(secret))).toEqual([])
      expect([...files.values()].join('')).not.toMatch(/PRIVATE KEY|hvs\./)
      line.mark(`${files.size} files prepared, twice the same, no secret in them`)

      const login = ['--role-id', roleId, '--wrapped-secret-id', wrapped]
      const onNode = (words: readonly string[], at: RegExp): Promise<boolean> =>
        killAt(tower(), host.name, [...words, ...withJournal], at)
      killed.push(await onNode(applying(node, first), /done: put/))
      killed.push(await onNode(applying(node, first, ...login), /done: unwrap/))
      killed.push(await onNode(applying(node, first, ...login), /done: make the key/))
      const applied = documentOf(await attemptOn(host.name, ...applying(node, first, ...login)))
      const pair = ['agent.crt', 'agent.key'].map((name) => readFileSync(join(root, 'etc/keylime/certs', name), 'utf8'))
      expect([applied.exit, applied.summary['messages']]).toEqual([0, []])
      expect([...textsIn(join(root, 'etc/keylime/certs')).keys()]).toEqual([
        '/agent.crt',
        '/agent.key',
        '/ca-chain.crt',
      ])
      expect(new X509Certificate(pair[0] ?? '').keyUsage).toEqual([SERVER_AUTH])
      await node.startKeylimeAgent()
      expect(applied.summary['agent_id']).toBe(host.agentId)
      node.startSpireAgent()
      line.mark('applied on the node: its key was made there, and its agents run')

      const wrong = await attempt(...accepting(node, `sha256:${'0'.repeat(64)}`))
      expect([wrong.code, wrong.stdout]).toEqual([3, expect.stringContaining('another machine has registered')])
      const words = accepting(node, undefined, ...entryOf(node))
      for (const at of [/done: find/, /done: enrol/, /done: make the entry/])
        killed.push(await onServer([...words, ...withJournal], at))
      const accepted = await act(...words)
      expect([accepted.exit, accepted.items.at(-1)?.['state']]).toEqual([0, 'done'])
      await hasIdentity(node)
      const seconds = line.elapsed()
      line.mark(`accepted, and its workload has an SVID; killed ${killed.filter(Boolean).length} times on the way`)
      expect(seconds).toBeLessThan(60)
      expect(killed).toContain(true)
      const shown = await tower().spire.agentShow(host.spiffeId)
      expect(shown?.selectors.map(({ value }) => value)).toEqual(
        expect.arrayContaining(['evidence:tpm', 'policy:pcr:7']),
      )
      expect((await tower().keylime.admin.enrolled(host.agentId))?.operationalState).toBe(3)
      expect((await act(...words)).exit).toBe(0)
      expect((await act('gc', host.name, '--delete')).exit).toBe(0)
      expect(await tower().spire.agentShow(host.spiffeId)).toBeUndefined()
      line.mark('and taken out again')
    } finally {
      await node.remove()
    }
    line.end()
  })

  it('in pull mode with certificates: one only serves, the other only calls, and only its own Keylime agent knows it [O07] [T39] [P09]', async () => {
    const line = new Timeline('enroll with certificates', ['O07', 'T39'])
    const node = await freshNode(tower(), await spireBin())
    const { host } = node
    try {
      const { roleId } = await tower().bao.allowAppRole(host.name, 'keylime-agents')
      const folder = join(tower().dir, `${host.name}-pull`)
      const wrapped = await prepare(node, folder, '--evidence', 'keylime-agent')
      const login = ['--role-id', roleId, '--wrapped-secret-id', wrapped]
      const applied: VerbDocument = documentOf(await attemptOn(host.name, ...applying(node, folder, ...login)))
      expect([applied.exit, applied.summary['messages']]).toEqual([0, []])
      await node.startKeylimeAgent()
      node.startSpireAgent()
      const accepted = await act(...accepting(node, undefined, ...entryOf(node)))
      expect([accepted.exit, accepted.items.map(({ state }) => state)]).toEqual([0, ['done', 'done', 'done', 'done']])
      await hasIdentity(node)
      line.mark('enrolled, and its workload has an SVID')
      const [server, client] = [host.files.agentCert, host.files.pluginCert].map(
        (file) => new X509Certificate(readFileSync(file)),
      )
      expect([server?.keyUsage, client?.keyUsage]).toEqual([[SERVER_AUTH], [CLIENT_AUTH]])
      expect(server?.issuer).toContain('Book of Omens')
      expect(client?.issuer).toBe(client?.subject)
      expect((await askAgent(node, host.name)).code).toBe(0)
      expect((await askAgent(node, 'auth')).code).not.toBe(0)
      line.mark('its client certificate opens its own Keylime agent, and no other host’s')
    } finally {
      await node.remove()
    }
    line.end()
  })
})
