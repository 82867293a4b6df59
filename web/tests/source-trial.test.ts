/** When a page gives up the source for the programme. */

import assert from 'node:assert/strict'
import test from 'node:test'

import { NativePlayer } from '../src/player/native.ts'
import type { PlayerFailure } from '../src/player/player.ts'
import { SourceTrial } from '../src/player/source-trial.ts'

test('a bad network is no reason to give up the source', () => {
  const trial = new SourceTrial()
  for (let index = 0; index < 100; index += 1) {
    assert.equal(trial.failed('LL-HLS', 'network'), false)
    assert.equal(trial.failed('HLS', 'gone'), false)
    assert.equal(trial.failed('WebRTC', 'media'), false, 'there is another way to it')
    assert.equal(trial.failed(null, 'network'), false)
  }
})

test('a source whose media shows nothing three times running is given up', () => {
  const trial = new SourceTrial()
  const failed = () => trial.failed('LL-HLS', 'media')
  assert.deepEqual([failed(), failed()], [false, false])
  trial.reset()
  assert.deepEqual([failed(), failed()], [false, false], 'it played in between')
  assert.equal(trial.failed('LL-HLS', 'network'), false)
  assert.equal(failed(), true)
})

test('a source for which there is no decoder is given up at once', () => {
  assert.equal(new SourceTrial().failed('LL-HLS', 'codec'), true)
})

test('a browser that plays HLS itself is asked whether the media or the network is at fault', async (context) => {
  Object.assign(globalThis, { MediaError: { MEDIA_ERR_NETWORK: 2, MEDIA_ERR_DECODE: 3, MEDIA_ERR_SRC_NOT_SUPPORTED: 4 } })
  /** What is told of an error with this code, when the playlist is answered for like this. */
  const failure = async (code: number, status: number | null, isDestroyed = false) => {
    const served = context.mock.method(globalThis, 'fetch', async () => {
      if (status === null) throw new TypeError('Failed to fetch')
      return new Response(null, { status })
    })
    const video = Object.assign(new EventTarget(), { error: { code, message: '' }, removeAttribute: () => {}, load: () => {} })
    const told: PlayerFailure[] = []
    const events = { failed: (reason: PlayerFailure) => void told.push(reason), reattached: () => {} }
    const player = new NativePlayer(video as unknown as HTMLVideoElement, '/hls/porch/index.m3u8', events)
    player.start()
    video.dispatchEvent(new Event('error'))
    if (isDestroyed) player.destroy()
    await new Promise((resolve) => setImmediate(resolve))
    served.mock.restore()
    return told.join()
  }
  assert.equal(await failure(3, null), 'media')
  assert.equal(await failure(2, 200), 'network')
  assert.equal(await failure(4, 200), 'media')
  assert.equal(await failure(4, 503), 'network')
  assert.equal(await failure(4, null), 'network')
  assert.equal(await failure(4, 200, true), '', 'it is not there any more')
})
