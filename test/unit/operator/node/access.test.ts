import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { accessAs, readersProblem } from '../../../../operator/node/access.ts'
import { accountOf, userNamed, userOf } from '../../../../operator/node/accounts.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'access-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const files = () => ({ passwd: join(folder, 'passwd'), group: join(folder, 'group') })

describe('the accounts of a machine', () => {
  it('are read with every group of a user', () => {
    writeFileSync(files().passwd, 'root:x:0:0::/root:/bin/sh\nspire:x:990:980::/:/bin/false\n')
    writeFileSync(files().group, 'spire:x:980:\nkeylime:x:970:spire,other\ntss:x:960:\n')
    expect(userNamed('spire', files())).toEqual({ name: 'spire', uid: 990, gid: 980, groups: [980, 970] })
    expect(userNamed('nobody', files())).toBeUndefined()
    expect(accountOf('spire:tss', files())).toEqual({ uid: 990, gid: 960 })
    expect(accountOf('spire', files())).toEqual({ uid: 990, gid: 980 })
    expect(() => accountOf('spire:none', files())).toThrow('owner spire:none: there is no group none')
    expect(() => accountOf('none', files())).toThrow('owner none: there is no user none')
    expect(userOf(990, -1, files())).toEqual({ name: 'spire', uid: 990, gid: 980, groups: [980, 970] })
  })
})

describe.skipIf(process.getuid?.() !== 0)('access as another user', () => {
  it('is tried, not computed: key, group and the folders above count [T91] [P20]', async () => {
    const key = join(folder, 'agent.key')
    writeFileSync(key, 'key')
    chownSync(key, 0, 960)
    chmodSync(key, 0o640)
    const spire = { name: 'spire', uid: 990, gid: 980, groups: [980, 970] }
    expect(await accessAs(spire, [key])).toEqual({ is: 'refused', files: [key] })
    expect(await accessAs({ ...spire, groups: [980, 960] }, [key])).toEqual({ is: 'readable' })
    chmodSync(folder, 0o700)
    expect(await accessAs({ ...spire, groups: [980, 960] }, [key])).toEqual({ is: 'refused', files: [key] })
    chmodSync(folder, 0o755)
    expect(await readersProblem(['nobody'], [key])).toBe(`user nobody cannot read ${key}`)
    expect(await readersProblem(['no-such-user'], [key])).toContain('there is no user no-such-user')
    chmodSync(key, 0o644)
    expect(await readersProblem(['nobody'], [key])).toBeUndefined()
  })
})
