import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { endGroup, type GroupRecord, membersOf, startTimeOf, type Told } from '../../lab/processes/process-group.ts'

async function startGroup(script: string, told: Told = 'all'): Promise<GroupRecord & { readonly said: () => string }> {
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  // The script says when its traps are set and its children run.
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(child.stdout, 'data')
  const pid = child.pid ?? 0
  return { name: 'test', pid, startTime: startTimeOf(pid) ?? '', told, leftovers: [], said: () => said }
}

describe('endGroup', () => {
  it('ends a leader and its children', async () => {
    const group = await startGroup('sleep 60 & sleep 60 & echo ready; wait')
    expect(membersOf(group.pid)).toHaveLength(3)
    expect(await endGroup(group)).toBe(true)
    expect(membersOf(group.pid)).toEqual([])
  })

  it.each([
    ['same program', 'the other program ended with 0'],
    ['all', 'the other program ended with 143'],
  ] as const)('tells %s', async (told, expected) => {
    const worker = 'trap "exit 7" TERM; while :; do wait; done'
    const group = await startGroup(
      `sh -c '${worker}' & sleep 0.5 & other=$!
       trap 'wait $other; echo "the other program ended with $?"; exit' TERM
       echo ready; while :; do wait; done`,
      told,
    )
    expect(await endGroup(group)).toBe(true)
    await expect.poll(group.said).toContain(expected)
  })

  it('kills what does not end on SIGTERM, and says so', async () => {
    const group = await startGroup('trap "" TERM; echo ready; while :; do sleep 0.05; done')
    expect(await endGroup(group, 300)).toBe(false)
    expect(membersOf(group.pid)).toEqual([])
  })

  it('leaves a process alone that has got the pid of one that is gone', async () => {
    const group = await startGroup('echo ready; exec sleep 60')
    await endGroup({ ...group, startTime: '1' })
    expect(membersOf(group.pid)).toEqual([group.pid])
    await endGroup(group)
  })
})
