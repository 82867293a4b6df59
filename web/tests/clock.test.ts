import assert from 'node:assert/strict'
import test from 'node:test'

import { ServerClock } from '../src/lib/clock.ts'

/** A server whose clock is 1000 s plus `skew` ahead, reached with these one-way delays. */
function sample(sentAt: number, there: number, back: number, skew = 0) {
  return { sentAt, receivedAt: sentAt + there + back, serverTime: sentAt + there + 1_000_000 + skew }
}

test('a symmetric round trip gives the offset exactly', () => {
  const clock = new ServerClock()
  clock.observe(sample(100, 20, 20))
  assert.equal(clock.timeAt(500), 1_000_500)
  assert.equal(clock.uncertaintyAt(140), 20)
})

test('the error is never more than half the round trip, however uneven it is', () => {
  for (const [there, back] of [[0, 80], [80, 0], [10, 70]] as const) {
    const clock = new ServerClock()
    clock.observe(sample(0, there, back))
    assert.ok(Math.abs(clock.timeAt(200)! - 1_000_200) <= 40)
  }
})

test('the sample with the shorter round trip wins, whichever comes first', () => {
  for (const order of [[0, 1], [1, 0]] as const) {
    const clock = new ServerClock()
    const samples = [sample(0, 300, 0), sample(10, 4, 4)]
    for (const index of order) clock.observe(samples[index]!)
    assert.equal(clock.timeAt(1000), 1_001_000)
  }
})

test('an old estimate gives way to a slower but fresh one, because clocks drift', () => {
  const clock = new ServerClock()
  clock.observe(sample(0, 2, 2))
  const later = 3_600_000
  clock.observe(sample(later, 30, 30, 150))
  assert.equal(clock.timeAt(later), later + 1_000_150)
})

test('without a good sample it says that it does not know', () => {
  const clock = new ServerClock()
  clock.observe({ sentAt: 10, receivedAt: 5, serverTime: 1 })
  clock.observe({ sentAt: 10, receivedAt: 15, serverTime: Number.NaN })
  assert.equal(clock.timeAt(20), null)
  assert.equal(clock.synchronized, false)
  assert.equal(clock.uncertaintyAt(20), Number.POSITIVE_INFINITY)
})

test('nothing is seen before it happened, whatever the clock that told its time says', () => {
  const clock = new ServerClock()
  assert.equal(clock.since(1_000_000, 100), null)
  clock.observe(sample(100, 20, 20))
  assert.equal(clock.since(1_000_300, 500), 200)
  assert.equal(clock.since(1_000_900, 500), 0)
})
