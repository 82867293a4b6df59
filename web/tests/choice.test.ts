import assert from 'node:assert/strict'
import test from 'node:test'

import { Choice } from '../src/player/choice.ts'
import { detourNote, detourReason } from '../src/watch/detour.ts'

const MINUTE = 60_000
const choice = () => new Choice(true, () => 0)

test('WebRTC comes first, and a browser without it never tries', () => {
  assert.equal(choice().wantsWebRtc(0), true)
  assert.equal(choice().detour, null)
  const without = new Choice(false)
  assert.equal(without.wantsWebRtc(24 * 60 * MINUTE), false)
  assert.equal(without.detour?.obstacle, 'unsupported')
})

test('a network that lets nothing through is tried again after a minute, then after longer and longer', () => {
  const blocked = choice()
  const waits: number[] = []
  for (let now = 0; waits.length < 8; now += MINUTE / 4) {
    if (!blocked.wantsWebRtc(now)) continue
    blocked.failed('blocked', 'no path', now)
    const start = now
    while (!blocked.wantsWebRtc(now)) now += MINUTE / 4
    waits.push((now - start) / MINUTE)
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30, 30])
})

test('one broken connection is mended by the next; three in a minute are a reason to leave', () => {
  const unsteady = choice()
  for (const now of [1000, 20_000]) {
    unsteady.failed('network', 'the path broke', now)
    assert.equal(unsteady.wantsWebRtc(now), true)
    unsteady.arrived(now + 500)
  }
  unsteady.failed('network', 'the path broke', 40_000)
  assert.equal(unsteady.wantsWebRtc(40_000), false)
  assert.equal(unsteady.detour?.obstacle, 'unsteady')
  assert.equal(unsteady.wantsWebRtc(40_000 + MINUTE), true)

  const rare = choice()
  for (let now = 0; now < 20 * MINUTE; now += MINUTE) {
    rare.failed('network', 'the path broke', now)
    assert.equal(rare.wantsWebRtc(now), true)
  }
})

test('a stream that is not there yet is waited for longer', () => {
  const early = choice()
  for (let attempt = 0; attempt < 5; attempt += 1) {
    early.failed('gone', 'nothing is live', attempt * 1000)
    assert.equal(early.detour, null)
  }
  early.failed('gone', 'nothing is live', 6000)
  assert.equal(early.wantsWebRtc(6000), false)
})

test('a stream that does not go over WebRTC is asked for again with the next broadcast only', () => {
  const unsuitable = choice()
  unsuitable.failed('unsuitable', 'it has B-frames', 0)
  assert.deepEqual(unsuitable.detour, { obstacle: 'unsuitable', why: 'it has B-frames' })
  unsuitable.networkChanged()
  assert.equal(unsuitable.wantsWebRtc(24 * 60 * MINUTE), false)
  unsuitable.broadcastBegan()
  assert.equal(unsuitable.wantsWebRtc(1), true)
  unsuitable.arrived(2)
  assert.equal(unsuitable.detour, null)
})

test('a server that is full is believed as to how long', () => {
  const full = choice()
  full.failed('full', 'no room', 0, 5000)
  assert.equal(full.wantsWebRtc(4999), false)
  assert.equal(full.wantsWebRtc(5000), true)
  full.failed('full', 'no room', 5000)
  assert.equal(full.wantsWebRtc(5000), false)
})

test('another network is a reason to try at once, and to begin with short waits again', () => {
  const moving = choice()
  for (const now of [0, MINUTE, 3 * MINUTE]) moving.failed('blocked', 'no path', now)
  moving.networkChanged()
  assert.equal(moving.wantsWebRtc(3 * MINUTE), true)
  moving.failed('blocked', 'no path', 3 * MINUTE)
  assert.equal(moving.wantsWebRtc(4 * MINUTE), true)
})

test('a broadcast that begins does not open a network that is closed', () => {
  const blocked = choice()
  blocked.failed('blocked', 'no path', 0)
  blocked.broadcastBegan()
  assert.equal(blocked.wantsWebRtc(1), false)
})

test('waits start short again only after WebRTC has played for a while', () => {
  for (const [played, wait] of [[5000, 2 * MINUTE], [2 * MINUTE, MINUTE]] as const) {
    const again = choice()
    again.failed('blocked', 'no path', 0)
    again.arrived(MINUTE)
    again.failed('media', 'nothing came', MINUTE + played)
    assert.equal(again.wantsWebRtc(MINUTE + played + wait - 1), false)
    assert.equal(again.wantsWebRtc(MINUTE + played + wait), true)
  }
})

test('every reason has words, and what is not offered is not missed', () => {
  for (const obstacle of ['unsupported', 'unsuitable', 'blocked', 'full', 'unsteady'] as const) {
    assert.match(detourNote({ obstacle, why: 'w' }) ?? '', /later than it could be: .*\.$/)
    assert.ok(detourReason({ obstacle, why: 'w' }))
  }
  assert.equal(detourNote({ obstacle: 'absent', why: '' }), null)
  assert.equal(detourNote(null), null)
  assert.equal(detourReason({ obstacle: 'unsuitable', why: 'it has B-frames' }), 'it has B-frames')
})
