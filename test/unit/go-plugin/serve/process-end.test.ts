import { describe, expect, it } from 'vitest'
import { endProcess } from '../../../../plugins/go-plugin/serve/process-end.ts'

/** Ends a process that only says how it was ended. */
async function endWith(...pending: readonly (readonly string[])[]): Promise<string[]> {
  const ends: string[] = []
  let looks = 0
  await endProcess({
    pending: () => pending[looks++] ?? [],
    exit: () => void ends.push('exit'),
    kill: () => void ends.push('kill'),
  })
  return ends
}

describe('endProcess', () => {
  it('exits when nothing holds it up, whatever else is open', async () => {
    expect(await endWith(['PipeWrap', 'Timeout', 'TCPSocketWrap'])).toEqual(['exit'])
  })

  it('exits when what held it up is over a moment later', async () => {
    expect(await endWith(['FSReqCallback'], ['Timeout'])).toEqual(['exit'])
  })

  it.each(['GetAddrInfoReqWrap', 'FSReqPromise'])('does not wait for %s', async (name) => {
    expect(await endWith([name], [name])).toEqual(['kill'])
  })
})
