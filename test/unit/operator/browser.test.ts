import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CHROMIUM, openPage } from './chromium.ts'
import { startFakeSite } from './towerkeep.ts'
import { startWatch } from './watch-daemon.ts'

const why = CHROMIUM === undefined ? ' (skipped: no chromium on this machine)' : ''
const FAILED = { operational_state: 9, last_event_id: 'pcr_validation.invalid_pcr_7' }

describe.skipIf(CHROMIUM === undefined)(`the page in a real browser${why}`, () => {
  it('is whole without JavaScript [O22]', async () => {
    await using site = await startFakeSite({ nodes: 2 })
    await using daemon = await startWatch(site)
    await using page = await openPage(`http://127.0.0.1:${daemon.httpPort}/`, { scripts: false })
    await expect.poll(() => page.dom(), { timeout: 20_000 }).toContain('<table id="hosts">')
    const dom = await page.dom()
    expect(site.keylime.nodes.filter(({ agentId }) => !dom.includes(agentId))).toEqual([])
    expect(dom).not.toContain('class="live"')
  })

  it('follows what happens by itself, within its own policy', async () => {
    await using site = await startFakeSite({ nodes: 3 })
    const [auth, ca, spire] = site.keylime.nodes.map(({ agentId }) => agentId)
    const names = `hosts = ["auth=${auth}", "ca=${ca}", "spire=${spire}"]`
    await using daemon = await startWatch(site, `mode = "ban"\n  poll = "500ms"\n}\n${names}\nwatch {`)
    await using page = await openPage(`http://127.0.0.1:${daemon.httpPort}/`)
    await expect.poll(() => page.dom(), { timeout: 20_000 }).toContain('class="live"')
    expect(await page.dom()).not.toContain('KL-GATE-INVALID-QUOTE')
    site.keylime.verifier.set(ca ?? '', FAILED)
    await expect.poll(() => page.dom(), { timeout: 20_000 }).toMatch(/<table id="decisions">.*KL-GATE-INVALID-QUOTE/s)
    await expect.poll(() => page.dom(), { timeout: 20_000 }).toMatch(/<span class="crit">banned<\/span>/)
    expect(page.complaints).toEqual([])
    const picture = await page.picture()
    expect(picture.subarray(1, 4).toString()).toBe('PNG')
    // The picture in the documentation is this one.
    if (process.env['PICTURE'] !== undefined) writeFileSync(process.env['PICTURE'], picture)
  })
})
