import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { printable, printableJson } from '../../../../operator/render/printable.ts'
import { styleFor } from '../../../../operator/render/style.ts'
import { startFakeSite, towerkeep } from '../towerkeep.ts'

// Clears the screen, hides what follows, turns the direction of writing, and a control sequence of one character.
const EVIL = '\u001b[2J\u001b[8m\u202eevil\u009b31m\r'

describe('text for a terminal', () => {
  it.each([
    [EVIL, String.raw`\u{1b}[2J\u{1b}[8m\u{202e}evil\u{9b}31m\u{d}`],
    ['two\nlines\n', 'two\nlines\n'],
    ['Zürich → 7 · "ok"', 'Zürich → 7 · "ok"'],
    ['\u{e0001}\ud800', String.raw`\u{e0001}\u{d800}`],
  ])('shows %j as %j', (text, shown) => {
    expect(printable(text)).toBe(shown)
  })

  it('keeps the colours of our own', () => {
    process.env['FORCE_COLOR'] = '1'
    try {
      const style = styleFor(process.stdout, 'auto')
      const text = (['ok', 'info', 'warn', 'crit', 'unknown'] as const).map((one) => style.paint(one, one)).join(' ')
      const dressed = `${text} ${style.strong('strong')} ${style.faint('faint')}`
      expect(dressed).toContain('\u001b[')
      expect(printable(dressed)).toBe(dressed)
    } finally {
      delete process.env['FORCE_COLOR']
    }
  })

  it('leaves a JSON document the same document, in characters that print [operator:names:inert]', () => {
    assert(
      property(string({ unit: 'binary' }), (text) => {
        const json = printableJson(JSON.stringify({ text }, null, 2))
        expect(JSON.parse(json)).toEqual({ text })
        expect(json.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
      }),
      { numRuns: 50 },
    )
  })
})

describe('what a stranger says', () => {
  it.each([['text'], ['json']])('acts on no terminal, with --output %s [operator:names:inert]', async (form) => {
    await using site = await startFakeSite({ nodes: 1 })
    const node = site.keylime.node()
    site.keylime.verifier.set(node.agentId, { operational_state: 9, last_event_id: EVIL, ip: `auth${EVIL}` })
    const parsed = form === 'json' ? (text: string): unknown => JSON.parse(text) : String
    for (const words of [['status'], ['explain', node.agentId], ['revoke', `x${EVIL}`]]) {
      const ran = await towerkeep(...words, '--config', site.config, '--output', form)
      const said = `${ran.stdout}${ran.stderr}`.replaceAll('\n', '')
      expect(said).not.toMatch(/[\p{Cc}\p{Cf}]/u)
      expect(said.length).toBeGreaterThan(20)
      expect(() => parsed(ran.stdout)).not.toThrow()
    }
  })
})
