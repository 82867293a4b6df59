/** From one page's picture to another's: a clock in the picture tells how old it is when it is shown. Prints what it measured. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { barePage, launch } from './support/browser.ts'
import { Server, eventually } from './support/server.ts'

const PATIENCE_MS = 60_000
/** How many pictures are looked at, after the first second. */
const PICTURES = 300

let server: Server
let browser: Browser

before(async () => {
  server = await Server.start('serve', { webRtc: true })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.dispose()
})

/** Publishes a picture of the clock: 24 squares, white for a one, of the milliseconds since 1970. */
function publishClock(page: Page, key: string): Promise<number> {
  return page.evaluate(async (streamKey) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 })
    document.body.replaceChildren(canvas)
    const context = canvas.getContext('2d')!
    setInterval(() => {
      const now = Date.now()
      for (let bit = 0; bit < 24; bit += 1) {
        context.fillStyle = Math.floor(now / 2 ** bit) % 2 ? '#fff' : '#000'
        context.fillRect((bit % 6) * 106, Math.floor(bit / 6) * 90, 106, 90)
      }
    }, 1000 / 30)
    const connection = new RTCPeerConnection()
    Object.assign(globalThis, { connection })
    connection.addTrack(canvas.captureStream(30).getVideoTracks()[0]!)
    await connection.setLocalDescription(await connection.createOffer())
    const response = await fetch('/whip/tower', {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', authorization: `Bearer ${streamKey}` },
      body: connection.localDescription!.sdp,
    })
    if (response.ok) await connection.setRemoteDescription({ type: 'answer', sdp: await response.text() })
    return response.status
  }, key)
}

/** Watches, and reads from each picture how old it is: milliseconds. */
function ages(page: Page, wanted: number): Promise<number[]> {
  return page.evaluate(async (count) => {
    const connection = new RTCPeerConnection()
    Object.assign(globalThis, { connection })
    const { receiver } = connection.addTransceiver('video', { direction: 'recvonly' })
    await connection.setLocalDescription(await connection.createOffer())
    const response = await fetch('/whep/tower', {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: connection.localDescription!.sdp,
    })
    if (!response.ok) return []
    await connection.setRemoteDescription({ type: 'answer', sdp: await response.text() })
    const video = Object.assign(document.createElement('video'), { muted: true })
    document.body.replaceChildren(video)
    video.srcObject = new MediaStream([receiver.track])
    void video.play()
    const context = Object.assign(document.createElement('canvas'), { width: 640, height: 360 })
      .getContext('2d', { willReadFrequently: true })!
    const seen: number[] = []
    await new Promise<void>((resolve) => {
      const look = () => {
        const now = Date.now()
        context.drawImage(video, 0, 0, 640, 360)
        let code = 0
        for (let bit = 0; bit < 24; bit += 1) {
          const { data } = context.getImageData((bit % 6) * 106 + 53, Math.floor(bit / 6) * 90 + 45, 1, 1)
          if (data[0]! > 127) code += 2 ** bit
        }
        seen.push((now - code) % 2 ** 24)
        if (seen.length < count) video.requestVideoFrameCallback(look)
        else resolve()
      }
      video.requestVideoFrameCallback(look)
    })
    return seen
  }, wanted)
}

test('a picture of a clock tells how late viewers are over WebRTC', async () => {
  const address = await server.createChannel('tower', 'The clock tower')
  const publisher = await barePage(browser, server.url)
  assert.equal(await publishClock(publisher, address.slice(address.lastIndexOf('/') + 1)), 201)
  const viewer = await barePage(browser, server.url)
  const all = await eventually('pictures', PATIENCE_MS, async () => {
    const measured = await ages(viewer, PICTURES + 30)
    return measured.length > 0 && measured
  })
  // What the first second shows was there before the viewer.
  const late = all.slice(30).sort((a, b) => a - b)
  const [least, p50, p99] = [0, 0.5, 0.99].map((part) => late[Math.floor(late.length * part)]!)
  console.log(`glass to glass over ${late.length} pictures: p50 ${p50} ms, p99 ${p99} ms`)
  assert.ok(least! >= 0 && p50! < 2 ** 16, 'the clock in the picture cannot be read')
  await viewer.close()
  await publisher.close()
})
