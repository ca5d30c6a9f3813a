import { describe, expect, it } from 'vitest'
import { requireKeyFile } from '../../../../agent-attestor/evidence/key-file.ts'

describe('requireKeyFile', () => {
  it('tells a file that cannot be read from one that is not there yet, under a code of its own', async () => {
    const path = `/tmp/${'x'.repeat(300)}`
    await expect(requireKeyFile(path)).rejects.toMatchObject({
      code: 'KL-NODE-KEY-FILE-UNREADABLE',
      message: expect.stringMatching(/cannot be read .* \[KL-NODE-KEY-FILE-UNREADABLE\]$/) as unknown,
    })
    await expect(requireKeyFile('/tmp/no-such-folder/agent_data.json')).rejects.toMatchObject({
      code: 'KL-NODE-KEY-FILE',
    })
  })
})
