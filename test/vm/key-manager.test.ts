// The TPM key manager below a real SPIRE agent on a real /dev/tpmrm0, and its folders in a guest with another TPM.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { newBoard, tracked } from '../lab/parts/progress.ts'
import { requireSpire } from '../lab/parts/spire.ts'
import { guestParts, runGuest } from './guest-image.ts'

const keyManager = join(process.env['TOWER_DIST'] ?? resolve(import.meta.dirname, '../../dist'), 'key-manager-tpm')
const parts = guestParts()
const missing = 'missing' in parts ? parts.missing : []

describe.skipIf(missing.length > 0)(
  `the key manager in a guest${missing.length > 0 ? ` (skipped without ${missing.join(', ')})` : ''}`,
  () => {
    let own: ReadonlyMap<string, unknown>
    let copied: ReadonlyMap<string, unknown>

    beforeAll(async () => {
      if ('missing' in parts) return
      if (!existsSync(keyManager)) throw new Error(`${keyManager} is not there: run make build first`)
      const board = newBoard(process.stderr)
      const spire = await tracked(board, 'SPIRE', requireSpire).finally(() => board.close())
      const programs = [join(spire, 'spire-server'), join(spire, 'spire-agent'), keyManager]
      const program = join(import.meta.dirname, 'guest-keys.ts')
      const image = { program, programs, memoryMb: 4096 }
      own = await runGuest(parts, image)
      const folders = Object.entries((own.get('folders') ?? {}) as Readonly<Record<string, string>>)
      const files = new Map(folders.map(([path, packed]) => [path, gunzipSync(Buffer.from(packed, 'base64'))]))
      copied = await runGuest(parts, { ...image, files })
    }, 900_000)

    it('ran to its end, twice', () => {
      expect([own, copied].map((findings) => [findings.get('failed'), findings.get('done')])).toEqual([
        [undefined, true],
        [undefined, true],
      ])
    })

    it.each<[string, unknown]>([
      ['attests', true],
      ['has wrapped keys alone', true],
      ['keys beside the svid', 0],
      ['renews', true],
      ['restarts with its key', true],
      ['takes its keys for its own', true],
    ])('%s: %s [tpm-keys:kernel:life]', (finding, value) => {
      expect(own.get(finding)).toBe(value)
    })

    it.each<[string, unknown]>([
      ['the server knows the agent', true],
      ['a copy has to attest, and cannot', true],
      ['no key of a copy is of use', true],
    ])('%s: %s [tpm-keys:kernel:copy]', (finding, value) => {
      expect(copied.get(finding)).toBe(value)
    })
  },
)
