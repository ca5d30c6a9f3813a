import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { TOWERKEEP_SCHEMA } from '../../../operator/site/towerkeep-conf.ts'
import { WatchMetrics } from '../../../operator/watch/metrics.ts'
import { decodeConfig } from '../../../plugins/spire-sdk/hcl/index.ts'
import { alertsOf } from './alerts-of.ts'

const root = resolve(import.meta.dirname, '../../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Every series that the daemon writes, by name. */
async function seriesNames(): Promise<ReadonlySet<string>> {
  const metrics = new WatchMetrics({ perHost: true, build: { version: '1', commit: '' } })
  const text = await metrics.registry.metrics()
  const families = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
  return new Set(
    families.flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  )
}

function metricsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(/\btowerkeep_[a-z_]+/g)].map(([name]) => name))]
}

describe('dashboard and alerts', () => {
  it.each(['packaging/grafana/towerkeep.json', 'packaging/prometheus/towerkeep.rules.yml'])(
    'name only metrics that there are: %s [O22] [T57] [P34]',
    async (file) => {
      const known = await seriesNames()
      const used = metricsIn(read(file))
      expect(used.length).toBeGreaterThan(5)
      expect(used.filter((name) => !known.has(name))).toEqual([])
    },
  )

  it('parse: a dashboard of two rows, and alerts each with a summary and a next step', () => {
    const dashboard = JSON.parse(read('packaging/grafana/towerkeep.json')) as {
      panels: { type: string; targets?: { expr: string }[] }[]
    }
    expect(dashboard.panels.filter(({ type }) => type === 'row')).toHaveLength(2)
    const rules = alertsOf(read('packaging/prometheus/towerkeep.rules.yml'))
    expect(rules.length).toBeGreaterThan(9)
    for (const rule of rules) {
      expect(rule).toMatchObject({
        alert: expect.stringMatching(/^Towerkeep[A-Z]/) as unknown,
        expr: expect.stringContaining('towerkeep_') as unknown,
        summary: expect.stringMatching(/.{10,}/) as unknown,
        next: expect.stringMatching(/.{10,}/) as unknown,
      })
    }
  })
})

describe('the files of the package', () => {
  it('renew by a timer, which takes a sealed vault for no failure [T63]', () => {
    const [service, timer] = ['service', 'timer'].map((kind) => read(`packaging/systemd/towerkeep-renew.${kind}`))
    expect(service).toContain('ExecStart=/usr/bin/towerkeep renew --all --yes')
    expect(service).toContain('SuccessExitStatus=75')
    expect(service).not.toMatch(/^Requires=/m)
    expect(timer).toMatch(/OnUnitActiveSec=5min\nRandomizedDelaySec=/)
  })

  it('hold a configuration that the tool takes as it stands', () => {
    const { problems } = decodeConfig(read('packaging/towerkeep.hcl'), TOWERKEEP_SCHEMA)
    expect(problems.map(String)).toEqual([])
  })

  it('give the daemon no more than it needs, and V8 what it needs', () => {
    const unit = read('packaging/systemd/towerkeep-watch.service')
    for (const line of [
      'User=towerkeep',
      'CapabilityBoundingSet=\n',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
      'PrivateDevices=yes',
      'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
      'SystemCallFilter=@system-service',
      'UnsetEnvironment=NODE_OPTIONS',
    ]) {
      expect(unit).toContain(line)
    }
    expect(unit).not.toMatch(/^MemoryDenyWriteExecute=yes/m)
    expect(unit).not.toMatch(/^Requires=/m)
  })

  it('narrow the socket to calls that read, ban and evict', () => {
    const { towerkeep, local } = JSON.parse(read('packaging/opa/towerkeep.json')) as {
      towerkeep: { path: string; methods: string[] }
      local: string[]
    }
    expect(towerkeep.path).toBe('/usr/bin/towerkeep')
    expect(towerkeep.methods.filter((method) => /Mint|Create|Update|Append|Set|Authority/.test(method))).toEqual([])
    expect(local).toContain('/spire.api.server.svid.v1.SVID/MintX509SVID')
  })
})

/** Hooks and reloads of the operator's; cp, which keeps access lists; setpriv, to read as another user. */
const STARTERS = ['/watch/notify.ts', '/renew/commands.ts', '/plan/replace-file.ts', '/node/access.ts']

describe('the sources of the tool', () => {
  it('open no database, use no SSH, and start no other program for state [O25]', () => {
    const files = readdirSync(join(root, 'operator'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name))
    const offending = files.filter((file) => {
      const text = readFileSync(file, 'utf8')
      const starts = text.includes("from 'node:child_process'") && !STARTERS.some((name) => file.endsWith(name))
      return starts || /sqlite|\bssh\b|spawn\('(spire-server|keylime_tenant)/.test(text)
    })
    expect(offending.map((file) => file.slice(root.length + 1))).toEqual([])
  })

  it('let the daemon hold nothing that could change anything at Keylime, unless its key for recovery is set', () => {
    const reached = new Set<string>()
    const onDemand: string[] = []
    const visit = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      for (const [text, specifier = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g)) {
        if (specifier.endsWith('/reactivator.ts')) onDemand.push(text)
        else if (specifier.startsWith('.')) visit(resolve(file, '..', specifier))
        else reached.add(specifier)
      }
    }
    visit(join(root, 'operator/verbs/watch.ts'))
    expect([...reached].filter((name) => /keylime\/admin/.test(name))).toEqual([])
    // The first names a type, which is gone once it runs.
    expect(onDemand).toEqual(["from '../sources/reactivator.ts'", "import('../sources/reactivator.ts'"])
    expect(readFileSync(join(root, 'operator/verbs/watch.ts'), 'utf8')).toContain('import type { Reactivator } from')
  })
})
