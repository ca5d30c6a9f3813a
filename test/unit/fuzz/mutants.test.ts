import { describe, expect, it } from 'vitest'
import { mutantOf } from '../../fuzz/fuzz-target.ts'
import { Random } from '../../fuzz/random.ts'

const stock = { corpus: [Buffer.from('a = "x"\n'), Buffer.from('{"a": 1}')], pieces: [Buffer.from('${')] }

function mutantsOf(seed: number): Set<string> {
  return new Set(Array.from({ length: 2000 }, (_, index) => mutantOf(stock, seed, index).toString('hex')))
}

describe('mutantOf', () => {
  it('makes the same mutant from the same seed and number', () => {
    const indexes = Array.from({ length: 200 }, (_, index) => index)
    expect(indexes.map((index) => mutantOf(stock, 7, index))).toEqual(indexes.map((index) => mutantOf(stock, 7, index)))
  })

  it('makes other mutants from another seed, and hardly any twice', () => {
    const [first, second] = [mutantsOf(1), mutantsOf(2)]
    expect(first.size).toBeGreaterThan(1200)
    expect([...second].filter((mutant) => !first.has(mutant)).length).toBeGreaterThan(800)
  })

  it('leaves the corpus as it was', () => {
    for (let index = 0; index < 500; index += 1) mutantOf(stock, 3, index)
    expect(stock.corpus.map(String)).toEqual(['a = "x"\n', '{"a": 1}'])
  })
})

describe('Random', () => {
  it('spreads evenly over its range', () => {
    const random = new Random(42)
    const counts = Array.from({ length: 10 }, () => 0)
    for (let draw = 0; draw < 10_000; draw += 1) {
      const drawn = random.next(10)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    expect(Math.min(...counts)).toBeGreaterThan(850)
    expect(Math.max(...counts)).toBeLessThan(1150)
  })

  it('has nothing to pick from an empty list', () => {
    expect(() => new Random(1).pick([])).toThrow(new RangeError('nothing to pick from'))
  })
})
