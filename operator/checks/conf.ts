/**
 * Checks of what is written in configuration files, by the rules of the program that reads each.
 *
 * @module
 */

import { isIP } from 'node:net'
import { join } from 'node:path'
import { type Finding, finding } from '../findings/finding.ts'
import { readIfThere } from '../site/files.ts'
import type { KeylimeConf } from '../site/keylime-conf.ts'
import { KEYLIME_AGENT_KEYS, KEYLIME_KEYS } from '../site/keylime-keys.ts'
import { nearest } from '../site/nearest.ts'
import type { Check } from './check.ts'
import { unseen, type View } from './view.ts'

/** Options that Keylime's services read as lists. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  verifier: ['trusted_client_ca', 'trusted_server_ca', 'enabled_revocation_notifications'],
  registrar: ['trusted_client_ca'],
  tenant: ['trusted_server_ca', 'accept_tpm_hash_algs', 'accept_tpm_encryption_algs', 'accept_tpm_signing_algs'],
}

/** The checks. */
export const CONF_CHECKS: readonly Check[] = [
  {
    id: 'conf-files',
    area: 'conf',
    finds: ['TK-CONF-INVALID'],
    needs: "SPIRE's and Keylime's configuration files of this machine",
    blind: 'keys of SPIRE itself: spire-server validate knows them',
    run: ({ site }) =>
      site.problems.map(({ file, at, message, isForbidden }) =>
        isForbidden
          ? unseen(file, message)
          : finding('TK-CONF-INVALID', { subject: at === undefined ? file : `${file}:${at}`, message }),
      ),
  },
  {
    id: 'conf-plugin',
    area: 'conf',
    finds: ['TK-CONF-PLUGIN'],
    needs: 'server.conf',
    blind: 'plugin_data of other attestors',
    run: ({ services, site }) =>
      site.spireServer === undefined
        ? []
        : services.plugin.value.problems.map((message) =>
            finding('TK-CONF-PLUGIN', { subject: services.plugin.from, message }),
          ),
  },
  {
    id: 'conf-keylime-lists',
    area: 'conf',
    finds: ['TK-CONF-LIST'],
    needs: 'verifier.conf, registrar.conf, tenant.conf',
    blind: 'whether the files named in the lists are the right ones: area certs',
    run: ({ site }) => confsOf(site).flatMap(listFindings),
  },
  {
    id: 'conf-keylime-keys',
    area: 'conf',
    finds: ['TK-CONF-UNKNOWN-KEY'],
    needs: 'verifier.conf, registrar.conf, tenant.conf, agent.conf',
    blind: 'keys of releases newer than this tool',
    run: (view) => [...confsOf(view.site).flatMap(keyFindings), ...agentKeyFindings(view)],
  },
  {
    id: 'conf-wrong-file',
    area: 'conf',
    finds: ['TK-CONF-WRONG-FILE'],
    needs: '/etc/keylime',
    blind: 'files elsewhere',
    run: ({ root }) => {
      const file = join(root, '/etc/keylime/keylime-agent.conf')
      const message = 'no program reads this file: the Rust Keylime agent reads agent.conf'
      return readIfThere(file) === undefined ? [] : [finding('TK-CONF-WRONG-FILE', { subject: file, message })]
    },
  },
  {
    id: 'conf-contact',
    area: 'conf',
    finds: ['TK-CONF-CONTACT'],
    needs: 'agent.conf',
    blind: 'addresses that another network cannot reach',
    run: contactFindings,
  },
]

function confsOf({ verifier, registrar, tenant }: View['site']): readonly KeylimeConf[] {
  return [verifier, registrar, tenant].filter((conf) => conf !== undefined)
}

function listFindings(conf: KeylimeConf): readonly Finding[] {
  return (LISTS[conf.component] ?? []).flatMap((key) => {
    const section = key === 'enabled_revocation_notifications' ? 'revocations' : conf.component
    const found = conf.text(key, section)
    if (found === undefined || found.value === 'default' || found.value === '') return []
    if (conf.list(key, section) !== undefined) return []
    const message = `${key} is ${JSON.stringify(found.value)}, expected a list such as ["${found.value}"]`
    return [finding('TK-CONF-LIST', { subject: found.from, message, evidence: { key, found: found.value } })]
  })
}

function keyFindings(conf: KeylimeConf): readonly Finding[] {
  return conf.keys().flatMap(({ section, key, from }) => {
    const known = KEYLIME_KEYS[section]
    if (known === undefined || known.has(key)) return []
    return [unknownKey(from, key, known)]
  })
}

function agentKeyFindings({ site }: View): readonly Finding[] {
  const keys = site.keylimeAgent?.keys() ?? []
  return keys
    .filter(({ key }) => !KEYLIME_AGENT_KEYS.has(key))
    .map(({ key, from }) => unknownKey(from, key, KEYLIME_AGENT_KEYS))
}

function unknownKey(from: string, key: string, known: ReadonlySet<string>): Finding {
  const near = nearest(key, known)
  const message = `key ${key} is not known${near === undefined ? '' : `; did you mean ${near}?`}`
  return finding('TK-CONF-UNKNOWN-KEY', { subject: from, message, evidence: { key, near: near ?? null } })
}

function contactFindings({ site }: View): readonly Finding[] {
  const agent = site.keylimeAgent
  const registrar = agent?.text('registrar_ip')?.value
  if (agent === undefined || registrar === undefined || isLoopback(registrar)) return []
  const contact = agent.text('contact_ip')
  const value = contact?.value ?? '127.0.0.1'
  if (!isLoopback(value)) return []
  return [
    finding('TK-CONF-CONTACT', {
      subject: contact?.from ?? 'default of keylime_agent',
      message: `contact_ip is ${value} while the registrar is at ${registrar}`,
      evidence: { contact_ip: value, registrar_ip: registrar },
    }),
  ]
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')) || host === '0.0.0.0'
}
