import { describe, expect, it } from 'vitest'
import { RequestSlots } from '../../../../plugins/keylime/https/request-slots.ts'

describe('RequestSlots', () => {
  it('hands slots on in the order of waiting', () => {
    const slots = new RequestSlots(2, 10)
    const granted: string[] = []
    expect([slots.take(() => granted.push('-')), slots.take(() => granted.push('-'))]).toEqual([true, true])
    for (const name of ['c', 'd', 'e']) slots.take(() => granted.push(name))
    expect(slots.counts).toEqual({ active: 2, waiting: 3 })
    slots.release()
    slots.release()
    expect(granted).toEqual(['c', 'd'])
    for (let left = 0; left < 3; left += 1) slots.release()
    expect(granted).toEqual(['c', 'd', 'e'])
    expect(slots.counts).toEqual({ active: 0, waiting: 0 })
  })

  it('lets one leave the queue, and passes it over', () => {
    const slots = new RequestSlots(1, 10)
    const granted: string[] = []
    slots.take(() => granted.push('-'))
    const leave = slots.take(() => granted.push('b'))
    slots.take(() => granted.push('c'))
    if (typeof leave === 'function') leave()
    slots.release()
    expect(granted).toEqual(['c'])
  })

  it('says when the queue is full', () => {
    const slots = new RequestSlots(1, 1)
    slots.take(() => undefined)
    slots.take(() => undefined)
    expect(slots.take(() => undefined)).toBe('full')
  })
})
