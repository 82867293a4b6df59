import assert from 'node:assert/strict'
import test from 'node:test'

import { elapsed } from '../src/lib/format.ts'
import { StudioAccess, accessWords } from '../src/studio/access.ts'
import { keyIn } from '../src/studio/address.ts'
import { preferredCodecs } from '../src/studio/codecs.ts'
import { verdictOf, type Outflow } from '../src/studio/health.ts'
import { levelOf } from '../src/studio/level.ts'
import { onAirWords, reactionTo, type Setback } from '../src/studio/on-air.ts'
import { Outbound } from '../src/studio/outbound.ts'
import { DEFAULT_PRESET, PRESETS, presetNamed, scaleFor } from '../src/studio/quality.ts'
import { refusalOf } from '../src/studio/refusal.ts'
import { readCues } from '../src/studio/slots.ts'

const MINUTE = 60_000
const preset = presetNamed('720p')

test('the key is read from the fragment, however it is written', () => {
  assert.equal(keyIn('#key=abc-123'), 'abc-123')
  assert.equal(keyIn('#key=a%2Bb%3D'), 'a+b=')
  assert.equal(keyIn('#key=100%'), '100%')
  assert.equal(keyIn('#key=abc&x=1'), 'abc')
  for (const none of ['', '#', '#key=', '#kitchen']) assert.equal(keyIn(none), null)
})

test('the key goes into a header, once, and what comes back says what to do', async () => {
  for (const [status, access] of [
    [204, 'granted'], [401, 'denied'], [403, 'denied'], [404, 'missing'], [429, 'slow-down'], [500, 'unreachable'],
  ] as const) {
    const asked: RequestInit[] = []
    const studio = new StudioAccess('kitchen', async (url, init) => {
      assert.equal(url, '/api/v1/channels/kitchen/studio')
      asked.push(init)
      return new Response(null, { status })
    })
    assert.equal(await studio.signIn('abc'), access)
    assert.deepEqual([asked[0]?.method, asked[0]?.headers], ['POST', { authorization: 'Bearer abc' }])
    assert.equal(accessWords(access) === '', access === 'granted')
  }
  const down = new StudioAccess('kitchen', () => Promise.reject(new TypeError('refused')))
  assert.equal(await down.check(), 'unreachable')
})

test('what no header can carry is not sent as a key', async () => {
  const studio = new StudioAccess('kitchen', () => assert.fail('it was sent'))
  for (const key of ['', 'two words', 'schlüssel', 'a\nb']) assert.equal(await studio.signIn(key), 'denied')
})

test('constrained baseline is offered first, then VP8, and retransmission stays', () => {
  const h264 = (profile: string, mode: number) => ({
    mimeType: 'video/H264',
    sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`,
  })
  const other = (name: string) => ({ mimeType: `video/${name}` })
  const [constrained, baseline, high, whole] = [h264('42e01f', 1), h264('42001f', 1), h264('640c1f', 1), h264('42e01f', 0)]
  const [vp8, av1, rtx, fec] = [other('VP8'), other('AV1'), other('rtx'), other('ulpfec')]
  assert.deepEqual(
    preferredCodecs([vp8, rtx, av1, whole, high, baseline, constrained, fec]),
    [constrained, baseline, high, whole, vp8, rtx, fec],
  )
  assert.deepEqual(preferredCodecs([av1, rtx]), [])
})

test('a picture is shrunk by its shorter side and never blown up', () => {
  assert.equal(scaleFor(preset, 1920, 1080), 1.5)
  assert.equal(scaleFor(preset, 1080, 1920), 1.5)
  assert.equal(scaleFor(preset, 640, 480), 1)
  assert.equal(scaleFor(preset, undefined, undefined), 1)
})

test('presets grow in every respect, and an unknown name is the default', () => {
  for (const [index, { width, height, bitrate }] of PRESETS.entries()) {
    const below = PRESETS[index - 1]
    if (below) assert.ok(width > below.width && height > below.height && bitrate > below.bitrate)
    assert.equal(Math.round((width / height) * 9), 16)
  }
  assert.equal(presetNamed('8k'), DEFAULT_PRESET)
  assert.equal(presetNamed(null), DEFAULT_PRESET)
})

const fine: Outflow = {
  bitrate: 2_400_000,
  width: 1280,
  height: 720,
  framesPerSecond: 30,
  roundTrip: 0.04,
  loss: 0,
  dropped: 0,
  shortOfBandwidth: 0,
  shortOfProcessor: 0,
}
const judged = (changes: Partial<Outflow>, age = MINUTE, still = false) => verdictOf({ ...fine, ...changes }, preset, age, still)

test('a good connection is called good, upright too', () => {
  assert.deepEqual(judged({}), { level: 'good', words: 'Connection is good', advice: '' })
  assert.equal(judged({ width: 720, height: 1280 }).level, 'good')
  assert.equal(judged({ loss: null, roundTrip: null, dropped: null, framesPerSecond: null }).level, 'good')
})

test('before there is anything to judge it says that it measures', () => {
  assert.equal(verdictOf(null, preset, 0).level, 'unknown')
  assert.equal(judged({ bitrate: null }).level, 'unknown')
})

test('the words name the cause and what helps', () => {
  const cases: [Partial<Outflow>, 'fair' | 'bad', RegExp][] = [
    [{ bitrate: 0 }, 'bad', /Nothing gets through/],
    [{ loss: 0.2 }, 'bad', /Much is lost on the way/],
    [{ loss: 0.05 }, 'fair', /Some is lost on the way/],
    [{ shortOfBandwidth: 0.9, width: 640, height: 360 }, 'bad', /Your upload is too slow for 720p: the picture gets smaller/],
    [{ shortOfBandwidth: 0.9 }, 'fair', /too slow for 720p: the picture gets coarser/],
    [{ shortOfProcessor: 0.9, width: 640, height: 360 }, 'bad', /This device is too slow for 720p: the picture gets smaller/],
    [{ dropped: 0.3 }, 'fair', /Frames are left out/],
    [{ roundTrip: 0.8 }, 'fair', /The way to the server is long: 0\.8 s/],
    [{ framesPerSecond: 12.2 }, 'fair', /only 12 frames a second/],
  ]
  for (const [changes, level, words] of cases) {
    const verdict = judged(changes)
    assert.match(verdict.words, words)
    assert.equal(verdict.level, level, verdict.words)
    assert.ok(verdict.advice)
  }
})

test('a connection that still feels its way up is not called slow, nor is a picture that stands still', () => {
  assert.equal(judged({ shortOfBandwidth: 1, width: 480, height: 270 }, 4000).level, 'good')
  assert.equal(judged({ framesPerSecond: 2, dropped: 0.9 }, MINUTE, true).level, 'good')
})

test('what is sent is told by its counters', () => {
  const report = (second: number) => [
    { id: 'V', type: 'outbound-rtp', kind: 'video', mediaSourceId: 'S', codecId: 'C', bytesSent: second * 250_000, packetsSent: second * 200,
      framesEncoded: second * 24, frameWidth: 1280, frameHeight: 720, qualityLimitationDurations: { bandwidth: second * 0.5, cpu: 0 } },
    { id: 'A', type: 'outbound-rtp', kind: 'audio', bytesSent: second * 12_500, packetsSent: second * 50 },
    { id: 'S', type: 'media-source', frames: second * 30 },
    { id: 'R', type: 'remote-inbound-rtp', packetsLost: second * 25 },
    { id: 'C', type: 'codec', mimeType: 'video/H264', sdpFmtpLine: 'profile-level-id=42e01f' },
    { id: 'P', type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.05 },
  ]
  const outbound = new Outbound()
  assert.equal(outbound.flow, null)
  for (const second of [0, 1, 2]) outbound.observe(second * 1000, report(second))
  assert.deepEqual(outbound.flow, {
    bitrate: 2_100_000,
    width: 1280,
    height: 720,
    framesPerSecond: 24,
    roundTrip: 0.05,
    loss: 0.1,
    dropped: 1 - 24 / 30,
    shortOfBandwidth: 0.5,
    shortOfProcessor: 0,
  })
  assert.equal(outbound.codecs, 'avc1.42e01f')
  outbound.observe(3000, [])
})

const setback: Setback = {
  trouble: 'lost',
  status: null,
  message: 'server’s words',
  wasLive: true,
  attempts: 1,
  othersLive: false,
}
const reaction = (changes: Partial<Setback>) => reactionTo({ ...setback, ...changes })

test('a connection that broke is opened again, however often', () => {
  for (const trouble of ['lost', 'closed', 'unreachable', 'blocked'] as const) {
    assert.deepEqual(reaction({ trouble, attempts: 50 }), { next: 'retry' })
  }
  for (const status of [429, 500, 503]) assert.deepEqual(reaction({ trouble: 'refused', status }), { next: 'retry' })
})

test('who was replaced does not fight; who only lost the connection comes back', () => {
  assert.deepEqual(reaction({ trouble: 'closed', othersLive: true }), { next: 'stop', state: 'replaced', words: '' })
  assert.deepEqual(reaction({ trouble: 'lost', othersLive: true }), { next: 'retry' })
})

test('a refusal is said in the server’s words, and a key that is no longer good asks for the new one', () => {
  assert.deepEqual(reaction({ trouble: 'refused', status: 409 }), { next: 'stop', state: 'refused', words: 'server’s words' })
  for (const status of [401, 403]) {
    assert.deepEqual(reaction({ trouble: 'refused', status }), { next: 'stop', state: 'signed-out', words: '' })
  }
})

test('a network without WebRTC is given up, but not at the first attempt', () => {
  const blocked = (attempts: number) => reaction({ trouble: 'blocked', wasLive: false, attempts })
  assert.equal(blocked(1).next, 'retry')
  assert.equal(blocked(3).next, 'stop')
})

test('every state that is not plain to see has words', () => {
  for (const state of ['connecting', 'reconnecting', 'replaced', 'refused'] as const) assert.ok(onAirWords(state, 'why')?.title)
  assert.equal(onAirWords('refused', 'why')?.detail, 'why')
  for (const state of ['off', 'live'] as const) assert.equal(onAirWords(state, ''), null)
})

test('a refused camera is explained by its cause', () => {
  const words = (name: string, secure = true) => refusalOf(new DOMException('x', name), secure)
  assert.match(words('NotAllowedError').title, /not allowed/)
  assert.match(words('NotFoundError').title, /No camera/)
  assert.match(words('NotReadableError').title, /busy/)
  assert.match(words('SomethingElse').detail, /The browser says: x/)
  assert.match(words('NotAllowedError', false).detail, /https:\/\//)
  assert.equal(words('NotAllowedError', false).again, false)
})

test('the level of the microphone: silence is nothing, full scale is all', () => {
  assert.equal(levelOf(new Float32Array(512)), 0)
  assert.equal(levelOf(new Float32Array(512).fill(1)), 1)
  assert.ok(Math.abs(levelOf(new Float32Array(512).fill(10 ** (-30 / 20))) - 0.5) < 0.01)
  assert.equal(levelOf(new Float32Array(0)), 0)
})

test('time on the air reads like a clock', () => {
  assert.equal(elapsed(0), '0:00')
  assert.equal(elapsed(7900), '0:07')
  assert.equal(elapsed(12 * MINUTE + 34_000), '12:34')
  assert.equal(elapsed(62 * MINUTE + 3000), '1:02:03')
})

test('slots are put into words, and odd ones are left out', () => {
  const cue = (id: unknown, stage: string, what: string | null, origin: string) => ({
    id, stage, outcome: what && { what, why: 'x' }, origin, opened_at: 5,
  })
  const read = readCues({
    cues: [
      cue('3', 'on_air', null, 'studio'),
      cue('2', 'over', 'no_bid', 'schedule'),
      cue(1, 'over', 'completed', 'studio'),
      null,
      cue('0', 'over', 'something_new', 'api'),
    ],
  })
  assert.deepEqual(read, [
    { id: '3', over: false, openedAt: 5, words: 'On the air' },
    { id: '2', over: true, openedAt: 5, words: 'Nobody wanted it, by the schedule' },
    { id: '0', over: true, openedAt: 5, words: 'over, by the operator' },
  ])
  for (const odd of [null, 7, {}, { cues: 'none' }]) assert.deepEqual(readCues(odd), [])
})
