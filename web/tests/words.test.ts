import assert from 'node:assert/strict'
import test from 'node:test'

import { hueOf } from '../src/home/hue.ts'
import { rtmpUrl } from '../src/home/rtmp-url.ts'
import { Backoff } from '../src/lib/backoff.ts'
import { bitrate, count, onAir, seconds, viewers } from '../src/lib/format.ts'
import { BitrateMeter } from '../src/player/bitrate.ts'

test('numbers read as people say them', () => {
  assert.equal(seconds(0.84), '0.8 s')
  assert.equal(seconds(-0.2), '0.0 s')
  assert.equal(seconds(9.97), '10 s')
  assert.equal(seconds(61.2), '61 s')
  assert.equal(bitrate(850_400), '850 kbit/s')
  assert.equal(bitrate(999_700), '1.0 Mbit/s')
  assert.equal(bitrate(2_440_000), '2.4 Mbit/s')
  assert.equal(count(1234), '1.2K')
  assert.equal(viewers(1), '1 viewer')
  assert.equal(viewers(0), '0 viewers')
})

test('how long it has been on air', () => {
  assert.equal(onAir(-5), 'just started')
  assert.equal(onAir(59_000), 'just started')
  assert.equal(onAir(12 * 60_000), 'on air 12 min')
  assert.equal(onAir(60 * 60_000), 'on air 1 h')
  assert.equal(onAir(185 * 60_000), 'on air 3 h 5 min')
  assert.equal(onAir(72 * 3_600_000), 'on air 3 days')
})

test('the address for encoders leaves out only the well-known port', () => {
  assert.equal(rtmpUrl('live.example', 1935), 'rtmp://live.example/live')
  assert.equal(rtmpUrl('live.example', null), 'rtmp://live.example/live')
  assert.equal(rtmpUrl('[::1]', 1940), 'rtmp://[::1]:1940/live')
})

test('waits grow to their bound, jitter only shortens them, and success starts anew', () => {
  const backoff = new Backoff(1000, 5000, 1.5, () => 0)
  const waits = Array.from({ length: 6 }, () => backoff.next())
  assert.deepEqual(waits, [1000, 1500, 2250, 3375, 5000, 5000])
  backoff.reset()
  assert.equal(backoff.next(), 1000)
  assert.equal(new Backoff(1000, 5000, 1.5, () => 0.999_999).next() > 799, true)
})

test('the bit rate is over the media that arrived, and forgets the past', () => {
  const meter = new BitrateMeter(2)
  assert.equal(meter.value, null)
  meter.add(0, 1000)
  assert.equal(meter.value, null)
  for (let part = 0; part < 10; part += 1) meter.add(0.2, 25_000)
  assert.equal(Math.round(meter.value!), 1_000_000)
  for (let part = 0; part < 20; part += 1) meter.add(0.2, 50_000)
  assert.equal(Math.round(meter.value!), 2_000_000)
})

test('a channel keeps its colour, and others have others', () => {
  assert.equal(hueOf('kitchen'), hueOf('kitchen'))
  assert.ok(new Set(['demo', 'kitchen', 'market', 'train', 'choir', 'garden'].map(hueOf)).size > 2)
})
