import assert from 'node:assert/strict'
import test from 'node:test'

import { iceFragment, wantStereo, withIce } from '../src/lib/sdp.ts'

const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join('')

const OFFER = lines(
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63',
  'a=ice-ufrag:kFIY',
  'a=ice-pwd:9fwbI4nyNgfwlmazH0fOhT',
  'a=ice-options:trickle',
  'a=mid:0',
  'a=recvonly',
  'a=rtpmap:111 opus/48000/2',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=ice-ufrag:kFIY',
  'a=ice-pwd:9fwbI4nyNgfwlmazH0fOhT',
  'a=mid:1',
)

test('stereo is asked of Opus and of nothing else, once', () => {
  const stereo = wantStereo(OFFER)
  assert.match(stereo, /^a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r$/m)
  assert.match(stereo, /^a=fmtp:63 111\/111\r$/m)
  assert.equal(wantStereo(stereo), stereo)
  assert.equal(stereo.length, OFFER.length + ';stereo=1'.length)
})

test('stereo is asked for where Opus has no parameters yet', () => {
  const bare = OFFER.replace('a=fmtp:111 minptime=10;useinbandfec=1\r\n', '')
  assert.match(wantStereo(bare), /a=rtpmap:111 opus\/48000\/2\r\na=fmtp:111 stereo=1\r\n/)
})

test('a description without Opus stays as it is', () => {
  assert.equal(wantStereo('v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n'), 'v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n')
})

test('the fragment of a restart is what RFC 9725 shows: the bundle, and the ICE of its first section', () => {
  assert.equal(
    iceFragment(OFFER),
    lines(
      'a=group:BUNDLE 0 1',
      'm=audio 9 UDP/TLS/RTP/SAVPF 111 63',
      'a=ice-ufrag:kFIY',
      'a=ice-pwd:9fwbI4nyNgfwlmazH0fOhT',
      'a=mid:0',
      'a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host',
    ),
  )
})

test('the answer to a restart replaces credentials everywhere and candidates in the first section', () => {
  const fragment = lines('a=ice-ufrag:new', 'a=ice-pwd:newnewnewnewnewnewnewnew', 'a=candidate:2 1 udp 1 198.51.100.1 39132 typ host')
  const renewed = withIce(OFFER, fragment)
  assert.equal(renewed.match(/^a=ice-ufrag:new\r$/gm)?.length, 2)
  assert.equal(renewed.match(/^a=ice-pwd:newnewnewnewnewnewnewnew\r$/gm)?.length, 2)
  assert.doesNotMatch(renewed, /kFIY|192\.0\.2\.1/)
  assert.equal(renewed.match(/^a=candidate:/gm)?.length, 1)
  assert.ok(renewed.indexOf('198.51.100.1') < renewed.indexOf('m=video'))
  assert.match(renewed, /^v=0\r\n/)
})

test('without candidates in the answer the known ones stay', () => {
  const renewed = withIce(OFFER, 'a=ice-ufrag:new\na=ice-pwd:newnewnewnewnewnewnewnew\n')
  assert.match(renewed, /a=candidate:1 1 udp 2122260223 192\.0\.2\.1/)
})

test('an answer without credentials is no answer', () => {
  assert.throws(() => withIce(OFFER, 'a=ice-ufrag:new\r\n'), /credentials/)
})
