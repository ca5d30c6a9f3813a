import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Services, servicesOf } from '../../../../operator/site/services.ts'
import { discoverSite, type Site } from '../../../../operator/site/site.ts'
import { requireRules } from '../../../../operator/watch/rules.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rules-'))
  mkdirSync(join(root, 'etc/spire'), { recursive: true })
  mkdirSync(join(root, 'proc'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const conf = (): string => join(root, 'etc/spire/server.conf')
const WHOLE = `server { trust_domain = "example.org" }
plugins { NodeAttestor "keylime" { plugin_cmd = "/x", plugin_data { keylime_verifiers = ["10.0.0.1:8881"] } } }`

function read(text: string | undefined): { site: Site; services: Services } {
  rmSync(conf(), { force: true })
  if (text !== undefined) writeFileSync(conf(), text)
  const site = discoverSite({ root, procFolder: join(root, 'proc') })
  return { site, services: servicesOf(site) }
}

describe('the rules of the gate, read again', () => {
  it('are taken whole, and not at all from a file that is half written, wrong or gone', () => {
    const { services: before } = read(WHOLE)
    expect(() => requireRules(read(WHOLE), before)).not.toThrow()
    expect(() => requireRules(read(WHOLE.slice(0, -20)), before)).toThrow(`${conf()}:2`)
    expect(() => requireRules(read(undefined), before)).toThrow('is gone')
    expect(() => requireRules(read(WHOLE.replace('keylime_verifiers', 'keylime_verifers')), before)).toThrow(
      'keylime_verifers',
    )
  })

  it('are the defaults where they always were', () => {
    const { services } = read(undefined)
    expect(() => requireRules(read(undefined), services)).not.toThrow()
  })
})
