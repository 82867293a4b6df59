import assert from 'node:assert/strict'
import test from 'node:test'

import { noticeFor, phaseOf, type Situation } from '../src/watch/phase.ts'

const live = { live: true, interrupted: false }
const away = { live: false, interrupted: true }
const off = { live: false, interrupted: false }

function phase(changes: Partial<Situation>) {
  return phaseOf({
    channel: live,
    failure: null,
    picture: 'none',
    playerFailure: null,
    unsupported: false,
    played: false,
    ...changes,
  })
}

test('nothing covers a picture that moves', () => {
  for (const channel of [live, away, off, null]) {
    for (const failure of [null, 'unreachable', 'missing'] as const) {
      assert.equal(phase({ picture: 'playing', channel, failure }), 'playing')
    }
  }
  assert.equal(noticeFor('playing'), null)
})

test('before and after the broadcast it says which', () => {
  assert.equal(phase({ channel: null }), 'loading')
  assert.equal(phase({ channel: off }), 'offline')
  assert.equal(phase({ channel: off, played: true }), 'ended')
  assert.equal(phase({ channel: null, failure: 'missing' }), 'missing')
})

test('it blames the broadcaster only when the broadcaster is away', () => {
  assert.equal(phase({ channel: away, picture: 'waiting', played: true }), 'interrupted')
  assert.equal(phase({ picture: 'waiting', played: true }), 'buffering')
  assert.equal(phase({ playerFailure: 'network', played: true }), 'reconnecting')
  assert.equal(phase({ failure: 'unreachable', played: true }), 'reconnecting')
  assert.equal(phase({ failure: 'unreachable' }), 'unreachable')
})

test('a playlist that is not there yet is still connecting', () => {
  assert.equal(phase({ playerFailure: 'gone' }), 'connecting')
})

test('a browser that cannot decode is told so', () => {
  assert.equal(phase({ unsupported: true }), 'unsupported')
  assert.equal(phase({ playerFailure: 'codec' }), 'unsupported')
})

test('while it may go on by itself, the last frame stays visible', () => {
  for (const name of ['interrupted', 'reconnecting', 'buffering'] as const) {
    assert.equal(noticeFor(name)?.cover, false)
    assert.equal(noticeFor(name)?.busy, true)
  }
})
