import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { endGroup, type GroupRecord, membersOf, startTimeOf } from '../../lab/processes/process-group.ts'

async function startGroup(script: string, leaderOnly = false): Promise<GroupRecord> {
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  // The script says when its traps are set and its children run.
  await once(child.stdout, 'data')
  const pid = child.pid ?? 0
  return { name: 'test', pid, startTime: startTimeOf(pid) ?? '', leaderOnly, leftovers: [] }
}

describe('endGroup', () => {
  it('ends a leader and its children', async () => {
    const group = await startGroup('sleep 60 & sleep 60 & echo ready; wait')
    expect(membersOf(group.pid)).toHaveLength(3)
    expect(await endGroup(group)).toBe(true)
    expect(membersOf(group.pid)).toEqual([])
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
