import assert from 'node:assert/strict'
import test from 'node:test'

import { CatchUp } from '../src/player/catch-up.ts'

const TICK = 200

/** Plays a stream whose parts arrive in real time, and returns the buffer ahead at each tick. */
function play(catchUp: CatchUp, ahead: number, seconds: number, from = 0, arriving: (at: number) => number = () => 1) {
  const trace: { ahead: number; rate: number; skipped: number }[] = []
  let rate = 1
  for (let now = from; now < from + seconds * 1000; now += TICK) {
    const decision = catchUp.decide(now, ahead)
    rate = decision.rate
    ahead -= decision.skip
    trace.push({ ahead, rate, skipped: decision.skip })
    ahead += (TICK / 1000) * (arriving(now) - rate)
  }
  return trace
}

test('a buffer at its aim plays at normal speed', () => {
  const catchUp = new CatchUp()
  assert.ok(play(catchUp, catchUp.safety + 0.05, 20).every(({ rate, skipped }) => rate === 1 && skipped === 0))
})

test('a small surplus is played off a little faster, and then it stays at normal speed', () => {
  const trace = play(new CatchUp(), 0.7, 30)
  assert.ok(trace.every(({ skipped, rate }) => skipped === 0 && rate <= 1.1 && rate >= 1))
  const last = trace.slice(-20)
  assert.ok(last.every(({ rate }) => rate === 1))
  assert.ok(last[0]!.ahead < 0.32, `still ${last[0]!.ahead} s ahead`)
})

test('a late start is jumped at once', () => {
  const trace = play(new CatchUp(), 2.4, 2)
  assert.equal(trace.filter(({ skipped }) => skipped > 0).length, 1)
  assert.ok(trace.at(-1)!.ahead < 0.5)
})

test('later on, a surplus that small is not jumped but one of many seconds is', () => {
  const catchUp = new CatchUp()
  play(catchUp, 0.3, 5)
  assert.ok(play(catchUp, 1.8, 5, 5000).every(({ skipped }) => skipped === 0))
  assert.ok(play(catchUp, 9, 2, 10_000).some(({ skipped }) => skipped > 5))
})

test('parts that come in bursts do not make the speed swing', () => {
  const catchUp = new CatchUp()
  let changes = 0
  let before = 1
  for (let now = 0; now < 20_000; now += TICK) {
    const { rate } = catchUp.decide(now, 0.32 + (now % 1000) / 1000 / 2)
    if (rate !== before) changes += 1
    before = rate
  }
  assert.ok(changes <= 1, `${changes} changes of speed`)
})

test('each stall asks for more buffer, up to a bound, and quiet takes it back', () => {
  const catchUp = new CatchUp()
  const first = catchUp.safety
  catchUp.stalled(0)
  assert.ok(catchUp.safety > first)
  for (let count = 0; count < 50; count += 1) catchUp.stalled(count)
  assert.ok(catchUp.safety <= 2)
  const bound = catchUp.safety
  for (let now = 0; now < 600_000; now += 1000) catchUp.decide(now, 1)
  assert.ok(catchUp.safety < bound)
  assert.equal(catchUp.safety, first)
})

test('a buffer that is nearly dry is played a little slower', () => {
  const catchUp = new CatchUp()
  assert.ok(catchUp.decide(0, 0.02).rate < 1)
})
