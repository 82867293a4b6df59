import assert from 'node:assert/strict'
import test from 'node:test'

import { CounterRate, lossOf } from '../src/lib/counter.ts'
import { codecName, roundTripOf } from '../src/lib/rtc-stats.ts'
import { Inbound } from '../src/player/inbound.ts'

test('a counter’s rate is over the last seconds, and starts anew with the counter', () => {
  const rate = new CounterRate(5000)
  rate.add(0, 0)
  assert.equal(rate.value, null)
  for (let at = 1000; at <= 10_000; at += 1000) rate.add(at, at < 5000 ? 0 : at - 5000)
  assert.equal(rate.value, 1000)
  rate.add(11_000, 3)
  assert.equal(rate.value, null)
  rate.add(12_000, 13)
  assert.equal(rate.value, 10)
})

test('the loss is a part of all that was sent', () => {
  const [lost, arrived] = [new CounterRate(), new CounterRate()]
  assert.equal(lossOf(lost, arrived), null)
  for (const [at, gone, came] of [[0, 0, 0], [1000, 5, 95]] as const) {
    lost.add(at, gone)
    arrived.add(at, came)
  }
  assert.equal(lossOf(lost, arrived), 0.05)
})

test('the round trip is that of the path in use, as each browser marks it', () => {
  const pair = { id: 'P1', type: 'candidate-pair', currentRoundTripTime: 0.02 }
  const other = { id: 'P0', type: 'candidate-pair', currentRoundTripTime: 0.9, nominated: true, state: 'succeeded' }
  assert.equal(roundTripOf([other, pair, { id: 'T', type: 'transport', selectedCandidatePairId: 'P1' }]), 0.02)
  assert.equal(roundTripOf([{ ...other, nominated: false }, { ...pair, selected: true }]), 0.02)
  assert.equal(roundTripOf([{ ...other, nominated: false }]), null)
})

test('codecs have the names that media people know', () => {
  const codec = (mimeType: string, sdpFmtpLine?: string) => codecName({ id: 'C', type: 'codec', mimeType, sdpFmtpLine })
  assert.equal(codec('video/H264', 'packetization-mode=1;profile-level-id=42E01F'), 'avc1.42e01f')
  assert.equal(codec('video/H264'), 'avc1')
  assert.equal(codec('video/VP8'), 'vp08')
  assert.equal(codec('audio/opus'), 'opus')
  assert.equal(codecName(undefined), null)
})

/** Two seconds of a stream of 1 Mbit/s, of which a tenth is lost and which waits for 40 ms. */
function reportAt(second: number) {
  return [
    { id: 'V', type: 'inbound-rtp', kind: 'video', codecId: 'CV', bytesReceived: second * 112_500, packetsReceived: second * 90,
      packetsLost: second * 10, jitterBufferDelay: second * 1.2, jitterBufferEmittedCount: second * 30, framesDecoded: second * 30 },
    { id: 'A', type: 'inbound-rtp', kind: 'audio', codecId: 'CA', bytesReceived: second * 12_500, packetsReceived: 0, packetsLost: 0,
      jitterBufferEmittedCount: second * 48_000 },
    { id: 'CV', type: 'codec', mimeType: 'video/H264', sdpFmtpLine: 'profile-level-id=42e01f' },
    { id: 'CA', type: 'codec', mimeType: 'audio/opus' },
    { id: 'P', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.03 },
  ]
}

test('what is received is told in the terms of the quality panel', () => {
  const inbound = new Inbound()
  inbound.observe(0, reportAt(0))
  assert.equal(inbound.media, false)
  inbound.observe(2000, reportAt(2))
  assert.equal(inbound.media, true)
  const { bitrate, codecs, buffer, roundTrip, loss } = inbound.stats
  assert.equal(bitrate, 1_000_000)
  assert.equal(codecs, 'avc1.42e01f, opus')
  assert.ok(Math.abs(buffer! - 0.04) < 1e-9)
  assert.equal(roundTrip, 0.03)
  assert.equal(loss, 0.1)
})

test('sound alone is media too, and a picture that was announced is waited for', () => {
  const sound = new Inbound()
  sound.observe(0, reportAt(1).filter(({ id }) => id !== 'V'))
  assert.equal(sound.media, true)
  const silent = new Inbound()
  silent.observe(0, [{ ...reportAt(1)[0]!, framesDecoded: 0 }, reportAt(1)[1]!])
  assert.equal(silent.media, false)
})

test('an empty report is no crash', () => {
  const inbound = new Inbound()
  inbound.observe(0, [])
  inbound.observe(1000, [])
  assert.deepEqual(inbound.stats, { bitrate: 0, codecs: null, buffer: null, roundTrip: null, loss: 0 })
})
