/** An overlay that the operator puts into a running stream, as Chromium shows it over WebRTC and over LL-HLS. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, Visit, launch, screenshots } from './support/browser.ts'
import { png } from './support/png.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

const START_MS = 30_000
const SLOT_MS = 6_000
/** No part of the clip has this colour. */
const COLOUR = [230, 20, 90] as const

let server: Server
let browser: Browser
let broadcaster: Broadcaster

before(async () => {
  server = await Server.start('serve', { webRtc: true })
  broadcaster = new Broadcaster(await server.createChannel('harbour', 'At the harbour'), 'demo.flv')
  browser = await launch()
})

after(async () => {
  await broadcaster?.kill()
  await browser?.close()
  await server?.dispose()
})

/** Whether the middle of the picture's lower edge is the overlay's now. */
function hasOverlay({ page }: Visit): Promise<boolean> {
  return page.evaluate((colour) => {
    const video = document.querySelector('video')!
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 })
    const context = canvas.getContext('2d')!
    context.drawImage(video, video.videoWidth / 2, video.videoHeight * 0.9, 1, 1, 0, 0, 1, 1)
    const pixel = context.getImageData(0, 0, 1, 1).data
    return colour.every((value, index) => Math.abs(value - pixel[index]!) < 30)
  }, COLOUR)
}

test('an overlay comes and goes over WebRTC and LL-HLS, and playback goes on', { skip: !hasMediaWorker && 'there is no media worker' }, async () => {
  const watch = `${server.url}/harbour`
  const visits = [
    await Visit.open(browser, watch, DESKTOP),
    await Visit.open(browser, watch, DESKTOP, (page) => page.addInitScript('delete globalThis.RTCPeerConnection')),
  ] as const
  for (const [visit, route] of [[visits[0], /^WebRTC/], [visits[1], /^LL-HLS/]] as const) {
    await visit.reaches('playing', START_MS)
    await eventually(`it plays over ${String(route)}`, START_MS, async () =>
      route.test((await visit.page.textContent('[data-testid=route]')) ?? ''),
    )
    assert.equal(await hasOverlay(visit), false)
  }
  const form = new FormData()
  form.set('image', new Blob([png(640, 108, COLOUR)], { type: 'image/png' }), 'overlay.png')
  form.set('format', 'lower_third')
  form.set('duration_ms', String(SLOT_MS))
  const asked = await server.operate('/api/v1/channels/harbour/overlays', { method: 'POST', body: form })
  const { id } = (await asked.json()) as { id: string }
  assert.equal(asked.status, 202)
  await Promise.all(
    visits.map(async (visit, index) => {
      await eventually('the overlay is there', START_MS, () => hasOverlay(visit))
      await visit.screenshot(`overlay-${index === 0 ? 'webrtc' : 'hls'}`)
      await eventually('the overlay has gone', START_MS, async () => !(await hasOverlay(visit)))
    }),
  )
  const slot = (await (await server.operate(`/api/v1/overlays/${id}`)).json()) as Record<string, unknown>
  assert.equal(slot.state, 'over', JSON.stringify(slot))
  assert.equal(slot.ended, 'completed', JSON.stringify(slot))
  console.log(`screenshots: ${screenshots}`)
  for (const visit of visits) {
    await visit.reaches('playing', START_MS)
    assert.ok((await visit.framesIn(2000)) >= 20, 'the picture has stopped')
    assert.deepEqual(visit.complaints, [])
    await visit.close()
  }
})
