/**
 * What can be broken about a tower's configuration and services, each so that doctor names it as the only cause.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pollUntil } from '../../lab/processes/poll.ts'
import { writeSelfSigned } from '../../lab/services/certificates.ts'
import type { Heal } from '../../lab/tower/breakage.ts'
import { startKeeper } from '../../lab/tower/keeping.ts'
import { all, type Bench, type Breaker, edited, type FileOf, SERVER, written } from './breaking.ts'
import { nobodysProgram } from './nobody.ts'

const SPIRE_AGENT: FileOf = ({ tower }) => tower.host('spire').spire.target.confFile
const KEYLIME_AGENT: FileOf = ({ tower }) => tower.host('spire').keylimeConf
const VERIFIER: FileOf = ({ tower }) => tower.keylime.env['KEYLIME_VERIFIER_CONFIG'] ?? ''

const at = ({ tower }: Bench, name: string): string => join(tower.dir, 'broken', name)
const elsewhere: FileOf = (bench) => at(bench, 'elsewhere.crt')

/** A certificate of nobody that anybody here trusts. */
async function foreignPair(bench: Bench): Promise<Heal> {
  mkdirSync(at(bench, '.'), { recursive: true })
  const [certFile, keyFile] = [elsewhere(bench), at(bench, 'elsewhere.key')]
  await writeSelfSigned({ certFile, keyFile, commonName: 'elsewhere', usage: 'clientAuth' })
  return () => rmSync(certFile)
}

/** A Keylime service that is stopped. */
function stopped(service: 'verifier' | 'registrar'): Breaker['breakIt'] {
  return async ({ tower }) => {
    await tower.keylime.stop(service)
    return () => tower.keylime.start(service)
  }
}

const SCRIPT = '#!/bin/sh\nexec true\n'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The breakers, on host `spire`, which is SPIRE's server, Keylime's and a node at once. */
export const TOWER_BREAKERS: readonly Breaker[] = [
  {
    what: 'a key that stands twice in verifier.conf [P29]',
    check: 'conf-files',
    id: 'TK-CONF-INVALID',
    breakIt: edited(VERIFIER, /^quote_interval = .*$/m, 'quote_interval = 2\nquote_interval = 3'),
  },
  {
    what: 'a misspelt key of the plugin [P07]',
    check: 'conf-plugin',
    id: 'TK-CONF-PLUGIN',
    breakIt: edited(SERVER, 'ek_ca_path', 'ek_ca_pth'),
  },
  {
    what: 'a bare word where Keylime wants a list [P29]',
    check: 'conf-keylime-lists',
    id: 'TK-CONF-LIST',
    breakIt: edited(VERIFIER, /^trusted_client_ca = \["(.*)"\]$/m, 'trusted_client_ca = $1'),
  },
  {
    what: 'an invented key of the Keylime agent [P28]',
    check: 'conf-keylime-keys',
    id: 'TK-CONF-UNKNOWN-KEY',
    breakIt: edited(KEYLIME_AGENT, 'contact_port', 'agent_contact_ip = "10.10.2.62"\ncontact_port'),
  },
  {
    what: 'a loopback contact address [P29]',
    check: 'conf-contact',
    id: 'TK-CONF-CONTACT',
    breakIt: edited(KEYLIME_AGENT, /^contact_ip = .*$/m, 'contact_ip = "127.0.0.1"'),
  },
  {
    what: 'a Keylime agent without uuid [P06]',
    check: 'identity-conf',
    id: 'TK-ID-DEFAULT',
    breakIt: edited(KEYLIME_AGENT, /^uuid = .*\n/m, ''),
  },
  {
    what: 'a Keylime agent with uuid "auto" [P06]',
    check: 'identity-conf',
    id: 'TK-ID-RANDOM',
    breakIt: edited(KEYLIME_AGENT, 'hash_ek', 'auto'),
  },
  {
    what: 'a key of another certificate [P17]',
    check: 'certs-files',
    id: 'TK-CERT-KEY',
    breakIt: edited(
      KEYLIME_AGENT,
      /^server_key = .*$/m,
      ({ tower }) => `server_key = "${tower.host('spire').files.pluginKey}"`,
    ),
  },
  {
    what: 'a trust file that is not there [P10]',
    check: 'certs-trust-files',
    id: 'TK-CERT-FILE',
    breakIt: edited(VERIFIER, /^trusted_server_ca = .*$/m, 'trusted_server_ca = ["gone.crt"]'),
  },
  {
    what: 'a client certificate of another CA for the server half [T59] [P07] [P11]',
    check: 'certs-clients',
    id: 'TK-CERT-CHAIN',
    breakIt: all(
      foreignPair,
      edited(SERVER, /keylime_tls_cert_file = .*/, (bench) => `keylime_tls_cert_file = "${elsewhere(bench)}"`),
      edited(SERVER, /keylime_tls_key_file = .*/, (bench) => `keylime_tls_key_file = "${at(bench, 'elsewhere.key')}"`),
    ),
  },
  {
    what: 'a trust file with the root alone, while Keylime agents present their leaf alone [P11]',
    check: 'net-arrows',
    id: 'TK-CERT-CHAIN',
    breakIt: all(
      written(elsewhere, ({ tower }) => tower.root.certificate()),
      edited(VERIFIER, /^trusted_server_ca = .*$/m, (bench) => `trusted_server_ca = ["${elsewhere(bench)}"]`),
    ),
  },
  {
    what: 'a renewed certificate that its service has not read [P13]',
    check: 'certs-served',
    id: 'TK-CERT-OLD',
    breakIt: async ({ tower: { certificates } }) => {
      const files = [certificates.cert('registrar'), certificates.key('registrar')]
      for (const file of files) copyFileSync(file, `${file}.before`)
      await certificates.issue('registrar')
      return () => {
        for (const file of files) copyFileSync(`${file}.before`, file)
      }
    },
  },
  {
    what: 'files that the user of a service may not read [T91] [P20]',
    check: 'certs-read',
    id: 'TK-CERT-READ',
    breakIt: async ({ tower }) => {
      // All of the tower runs as root, so a program of another user is put beside it.
      const nobody = nobodysProgram('/bin/sleep', 'keylime_registrar')
      const [command, ...args] = [...nobody.words, '600']
      const started = tower.on('spire').start({ name: 'nobody', command, args })
      await pollUntil(
        'the program of nobody to run',
        () => readFileSync(`/proc/${started.pid}/cmdline`, 'utf8').startsWith(nobody.path),
        {
          abort: () => started.requireRunning(),
        },
      )
      return async () => {
        await started.stop()
        nobody.remove()
      }
    },
  },
  {
    what: 'a service that is called by a name it does not have [P33]',
    check: 'net-arrows',
    id: 'TK-NET-NAME',
    breakIt: edited(
      SERVER,
      /^( *)require_ek_uuid/m,
      '$1keylime_registrar_server_name = "elsewhere"\n$1require_ek_uuid',
    ),
  },
  {
    what: 'endorsement certificates that nobody checks [P32]',
    check: 'identity-ek-ca',
    id: 'TK-ID-EK-UNCHECKED',
    breakIt: edited(SERVER, /^ *ek_ca_path = .*\n/m, ''),
  },
  {
    what: 'TPMs of a maker that is not trusted [P32]',
    check: 'identity-ek-ca',
    id: 'TK-ID-EK-CHAIN',
    breakIt: all(
      written(elsewhere, ({ tower }) => tower.root.certificate()),
      edited(SERVER, /ek_ca_path = .*/, (bench) => `ek_ca_path = "${elsewhere(bench)}"`),
    ),
  },
  {
    what: 'entries under a parent that is no agent [P19]',
    check: 'identity-orphans',
    id: 'TK-ID-ORPHAN',
    breakIt: async ({ tower }) => {
      const spiffeId = 'spiffe://funlab.casa/workload/orphan'
      const parentId = tower.host('auth').spiffeId.replace(/[^/]+$/, 'gone')
      await tower.spire.createEntry({ spiffeId, parentId, selectors: ['unix:uid:0'] })
      return () => tower.spire.deleteEntries(spiffeId)
    },
  },
  {
    what: 'a bundle of another authority [P15]',
    check: 'bundle-file',
    id: 'TK-BUNDLE-STALE',
    breakIt: written(
      ({ tower }) => tower.host('spire').files.bundle,
      ({ tower }) => tower.root.certificate(),
    ),
  },
  {
    what: 'a cached bundle of another authority [P15]',
    check: 'bundle-cache',
    id: 'TK-BUNDLE-STALE',
    breakIt: all(
      written(
        (bench) => at(bench, 'agent-data.json'),
        ({ tower }) => JSON.stringify({ bundle: [Buffer.from(tower.root.certificate()).toString('base64')] }),
      ),
      edited(SPIRE_AGENT, /data_dir = .*/, (bench) => `data_dir = "${at(bench, '')}"`),
    ),
  },
  {
    what: 'a SPIRE agent that never asks for a bundle [P15]',
    check: 'bundle-rebootstrap',
    id: 'TK-BUNDLE-REBOOTSTRAP',
    breakIt: edited(SPIRE_AGENT, 'rebootstrap_mode = "auto"', 'rebootstrap_mode = "never"'),
  },
  {
    what: 'another plugin than the pinned one [P16]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-SUM',
    breakIt: edited(SERVER, /plugin_checksum = .*/, `plugin_checksum = "${sha256('other')}"`),
  },
  {
    what: 'a plugin that is not pinned [P16]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-UNPINNED',
    breakIt: edited(SERVER, /^ *plugin_checksum = .*\n/m, ''),
  },
  {
    what: 'a script in the place of the plugin [P12] [P35]',
    check: 'plugin-sum',
    id: 'TK-PLUGIN-FOREIGN',
    breakIt: all(
      written(
        (bench) => at(bench, 'wrapper'),
        () => SCRIPT,
      ),
      edited(SERVER, /plugin_cmd = .*/, (bench) => `plugin_cmd = "${at(bench, 'wrapper')}"`),
      edited(SERVER, /plugin_checksum = .*/, `plugin_checksum = "${sha256(SCRIPT)}"`),
    ),
  },
  {
    what: 'a SPIRE agent that trusts the first server [P12]',
    check: 'plugin-bootstrap',
    id: 'TK-PLUGIN-INSECURE',
    breakIt: edited(SPIRE_AGENT, 'rebootstrap_mode', 'insecure_bootstrap = true\n  rebootstrap_mode'),
  },
  {
    what: 'a SPIRE agent that syncs slowly [P25]',
    check: 'spire-sync',
    id: 'TK-SPIRE-SLOW',
    breakIt: edited(SPIRE_AGENT, /sync_interval = .*/, 'sync_interval = "30s"'),
  },
  {
    what: 'SPIRE without telemetry [P34]',
    check: 'spire-telemetry',
    id: 'TK-SPIRE-TELEMETRY',
    breakIt: edited(SERVER, /^telemetry \{[\s\S]*?\n\}\n/m, ''),
  },
  {
    what: 'notifications that delay the failure [P25]',
    check: 'keylime-notify',
    id: 'TK-KL-NOTIFY-AGENT',
    breakIt: edited(VERIFIER, "['webhook']", "['agent', 'webhook']"),
  },
  {
    what: 'retries that are shorter than a boot [P05]',
    check: 'keylime-budget',
    id: 'TK-KL-BUDGET',
    breakIt: written(
      ({ journal }) => join(journal, '20261128-recover-auth.json'),
      () =>
        JSON.stringify({
          schema: 'towerkeep/journal/v1',
          verb: 'recover',
          subject: 'auth',
          at: '2026-11-28T00:00:00Z',
          uid: 0,
          outcome: 'done',
          steps: [{ id: 'reactivate', title: '', state: 'done', facts: { host: 'auth', away_seconds: 107 } }],
        }),
    ),
  },
  {
    what: 'a renewal that needs the SVID [P14]',
    check: 'boot-credential',
    id: 'TK-BOOT-CREDENTIAL',
    breakIt: written(
      ({ certs }) => join(certs, 'agent.hcl'),
      ({ tower }) =>
        [
          `cert_file = "${tower.host('spire').files.agentCert}"`,
          `key_file = "${tower.host('spire').files.agentKey}"`,
          'common_name = "spire.funlab.casa"',
          'role = "keylime-agents"',
          `address = "${tower.bao.operator.address}"`,
          `ca_file = "${tower.certificates.chain}"`,
          `svid_cert_file = "${tower.dir}/svid.pem"`,
          `svid_key_file = "${tower.dir}/svid.key"`,
        ].join('\n'),
    ),
  },
  {
    what: 'a registrar that does not answer',
    check: 'spire-sources',
    id: 'TK-SRC-REGISTRAR',
    breakIt: stopped('registrar'),
  },
  {
    what: 'a verifier that does not answer',
    check: 'spire-sources',
    id: 'TK-SRC-VERIFIER',
    breakIt: stopped('verifier'),
  },
  {
    what: 'a SPIRE server that does not answer',
    check: 'spire-sources',
    id: 'TK-SRC-SPIRE',
    breakIt: ({ tower }) => {
      // Without its socket it cannot be asked, and need not be started again.
      const { socketPath } = tower.spire
      renameSync(socketPath, `${socketPath}.away`)
      return () => renameSync(`${socketPath}.away`, socketPath)
    },
  },
  {
    what: 'nobody who cuts hosts off [P25]',
    check: 'spire-cutoff',
    id: 'TK-SPIRE-CUTOFF',
    breakIt: async (bench) => {
      await bench.keeper.stop()
      return async () => {
        bench.keeper = await startKeeper(bench.tower)
      }
    },
  },
]
