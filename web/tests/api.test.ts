import assert from 'node:assert/strict'
import test from 'node:test'

import { Api, ApiError, parseChannel } from '../src/lib/api.ts'

function answering(status: number, body: string) {
  const asked: string[] = []
  const api = new Api(async (url) => {
    asked.push(url)
    return new Response(body, { status })
  })
  return { api, asked }
}

const failsWith = (reason: string) => (error: unknown) => error instanceof ApiError && error.reason === reason

test('a channel is read as the server writes it', async () => {
  const { api, asked } = answering(
    200,
    JSON.stringify({
      name: 'kitchen',
      title: 'In the kitchen',
      live: true,
      since: '2026-01-02T03:04:05.678Z',
      viewers: { total: 7, hls: 4, flv: 3 },
    }),
  )
  const channel = await api.channel('kitchen')
  assert.deepEqual(asked, ['/api/v1/channels/kitchen'])
  assert.equal(channel.title, 'In the kitchen')
  assert.equal(channel.live, true)
  assert.equal(channel.interrupted, false)
  assert.equal(channel.since, Date.UTC(2026, 0, 2, 3, 4, 5, 678))
  assert.equal(channel.viewers, 7)
})

test('viewers by protocol are added up when there is no total', () => {
  assert.equal(parseChannel({ name: 'a1', viewers: { hls: 4, flv: 3 } })?.viewers, 7)
  assert.equal(parseChannel({ name: 'a1', viewers: 5 })?.viewers, 5)
  assert.equal(parseChannel({ name: 'a1' })?.viewers, null)
})

test('odd values become unknown instead of a crash', () => {
  const channel = parseChannel({ name: 'a1', title: 4, live: 'yes', since: 'soon', viewers: -1, tracks: 'none' })
  assert.deepEqual(channel, {
    name: 'a1',
    title: 'a1',
    live: false,
    interrupted: false,
    since: null,
    viewers: null,
    video: null,
  })
  for (const value of [null, 3, 'x', [], {}, { name: 1 }]) assert.equal(parseChannel(value), null)
})

test('a broadcaster who was there a moment ago is interrupted; one who is there is not', () => {
  assert.equal(parseChannel({ name: 'a1', live: false, interrupted: true })?.interrupted, true)
  assert.equal(parseChannel({ name: 'a1', live: true, interrupted: true })?.interrupted, false)
})

test('failures say what the page should do', async () => {
  await assert.rejects(answering(404, '{}').api.channel('a1'), failsWith('missing'))
  await assert.rejects(answering(503, '').api.channel('a1'), failsWith('unreachable'))
  await assert.rejects(answering(403, '{}').api.channel('a1'), failsWith('refused'))
  await assert.rejects(answering(200, '<html>').api.channel('a1'), failsWith('nonsense'))
  await assert.rejects(answering(200, '{"channels":3}').api.channels(), failsWith('nonsense'))
  const down = new Api(() => Promise.reject(new TypeError('refused')))
  await assert.rejects(down.channels(), failsWith('unreachable'))
})

test('one nameless entry does not hide the other channels', async () => {
  const { api } = answering(200, '{"channels":[{},{"name":"a1","live":true}]}')
  assert.deepEqual((await api.channels()).map(({ name }) => name), ['a1'])
})

test('the server answer sets the clock by half the round trip', async () => {
  const times = [1000, 1100]
  const api = new Api(
    async () => new Response('{"time":"1970-01-01T00:01:00.000Z","version":"1","ports":{"rtmp":1940}}'),
    () => times.shift() ?? 1100,
  )
  assert.deepEqual(await api.server(), { version: '1', rtmpPort: 1940, webRtc: null })
  assert.equal(api.clock.timeAt(1050), 60_000)
})

test('whether there is WebRTC is what the server says, and unknown if it says nothing', async () => {
  for (const [ports, webRtc] of [['{"webrtc":8189}', true], ['{"webrtc":null}', false], ['{}', null]] as const) {
    assert.equal((await answering(200, `{"ports":${ports}}`).api.server()).webRtc, webRtc)
  }
})

test('a request stops when the page no longer wants it', async () => {
  const stop = new AbortController()
  const api = new Api((_url, init) => new Promise((_resolve, reject) => {
    init.signal?.addEventListener('abort', () => reject(new DOMException('stopped', 'AbortError')))
  }))
  const asked = api.channels(stop.signal)
  stop.abort()
  await assert.rejects(asked, (error: unknown) => error instanceof DOMException)
})
