// The TPM room on a real /dev/tpmrm0: a guest with Debian's kernel and an emulated TPM behind it.
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { guestParts, runGuest } from './guest-image.ts'

const parts = guestParts()
const missing = 'missing' in parts ? parts.missing : []

describe.skipIf(missing.length > 0)(
  `the kernel's resource manager in a guest${missing.length > 0 ? ` (skipped without ${missing.join(', ')})` : ''}`,
  () => {
    let findings: ReadonlyMap<string, unknown>

    beforeAll(async () => {
      if ('missing' in parts) return
      findings = await runGuest(parts, { program: join(import.meta.dirname, 'guest.ts') })
    }, 300_000)

    it('ran to its end', () => {
      expect(findings.get('failed')).toBeUndefined()
      expect(findings.get('done')).toBe(true)
    })

    it.each<[string, unknown]>([
      ['activates', true],
      ['quote verifies', true],
      ['quote is bound', true],
      ['firmware measured PCR 0', true],
      ['quotes of six users at once', 120],
      ['two users quote at once', 2],
      ['sees its own objects alone', 2],
      ['no session is left', 0],
      ['a handle of another file', 'TPM_LOST'],
      ['lost and loaded anew', 'done'],
      ['times opened', 2],
      ['/dev/tpm0 opened twice', 'TPM_BUSY'],
      ['/dev/tpmrm0 beside it', 'done'],
      ['second command before the response is read', 'EBUSY'],
    ])('%s: %s [tpm:device:kernel]', (finding, value) => {
      expect(findings.get(finding)).toBe(value)
    })

    it('blocks no event loop, and says how long it took', () => {
      expect(findings.get('event loop worst delay ms')).toBeTypeOf('number')
      const times = ['cold start ms', 'warm quote and PCR values, median ms', 'event loop worst delay ms']
      process.stdout.write(`${times.map((name) => `${name}: ${String(findings.get(name))}`).join(', ')}\n`)
    })
  },
)
