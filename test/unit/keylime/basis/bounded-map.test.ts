import { describe, expect, it } from 'vitest'
import { BoundedMap } from '../../../../plugins/keylime/basis/bounded-map.ts'

describe('BoundedMap', () => {
  it('forgets what was used longest ago, and counts reading as use', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2])
  })

  it('keeps one entry for a key written twice, and none for a key deleted', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('a', 2)
    expect([map.get('a'), map.size]).toEqual([2, 1])
    map.delete('a')
    expect([map.get('a'), map.size]).toEqual([undefined, 0])
  })
})
