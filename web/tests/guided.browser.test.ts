/** Overlays that are sold and that the page draws: on their frames over WebRTC and LL-HLS, and counted as they were seen. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { DESKTOP, PHONE, Visit, launch, screenshots } from './support/browser.ts'
import { png } from './support/png.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

const START_MS = 30_000
/** No part of the clips has this colour. */
const COLOUR = [230, 20, 90] as const
/** Clips and their frames a second; their frame codes begin again after so many frames. */
const CLIPS = {
  harbour: { clip: 'demo.flv', rate: 30, frames: 1800 },
  slow: { clip: '4fps.flv', rate: 4, frames: 48 },
} as const
const CREATIVES = { lower_third: [640, 108], corner: [300, 250], l_shape: [320, 180], double_box: [320, 180] } as const
type ChannelName = keyof typeof CLIPS
type Format = keyof typeof CREATIVES

/** A browser that says what it is would be taken for one without a person before it. */
const PERSON = { userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36' }
const PERSON_WITH_PHONE = {
  userAgent: 'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36',
}
const skip = !hasMediaWorker && 'there is no media worker to look at creatives'

let server: Server
let browser: Browser
let campaign: number
const broadcasters: Broadcaster[] = []

before(async () => {
  if (skip) return
  server = await Server.start('serve', { webRtc: true, settings: { ONAIR_CUES__GAP: '0s' } })
  for (const [name, { clip }] of Object.entries(CLIPS)) {
    broadcasters.push(new Broadcaster(await server.createChannel(name, name), clip))
  }
  campaign = await book()
  browser = await launch()
})

after(async () => {
  for (const broadcaster of broadcasters) await broadcaster.kill()
  await browser?.close()
  await server?.dispose()
  console.log(`screenshots: ${screenshots}`)
})

async function ask<T>(method: string, path: string, body?: object): Promise<T> {
  const form = body instanceof FormData
  const response = await server.operate(`/api/v1${path}`, {
    method,
    ...(body && { body: form ? body : JSON.stringify(body) }),
    ...(body && !form && { headers: { 'content-type': 'application/json' } }),
  })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}

/** A campaign that can pay for everything, with a creative of each format. */
async function book(): Promise<number> {
  const advertiser = await ask<{ id: number }>('POST', '/advertisers', { name: 'Ann’s Teas', domains: ['teas.example'] })
  const terms = { name: 'Summer', cpm: '10.00', start: '2026-01-01T00:00:00Z', end: '2100-01-01T00:00:00Z', pacing: 'front_loaded' }
  const { id } = await ask<{ id: number }>('POST', `/advertisers/${advertiser.id}/campaigns`, terms)
  await ask('POST', `/campaigns/${id}/payments`, { number: 1, amount: '1000000.00' })
  for (const [format, [width, height]] of Object.entries(CREATIVES)) {
    const form = new FormData()
    form.set('image', new Blob([png(width, height, COLOUR)], { type: 'image/png' }), `${format}.png`)
    form.set('format', format)
    form.set('click_url', 'https://teas.example/summer')
    await ask('POST', `/campaigns/${id}/creatives`, form)
  }
  return id
}

interface Cue {
  id: string
  start_ns: number
  duration_ms: number
  stage: string
  outcome?: { what: string; why?: string } | null
}

async function openSlot(channel: ChannelName, format: Format, duration: number): Promise<string> {
  const { id } = await ask<{ id: string }>('POST', `/channels/${channel}/cues`, { format, duration_ms: duration })
  return id
}

const cue = (id: string) => ask<Cue>('GET', `/cues/${id}`)

/** Displays that viewers' pages told, paid for or not. */
async function clientDisplays(): Promise<number> {
  const { total } = await ask<{ total: { client: { charged: number; free: number } } }>('GET', `/reports?campaign=${campaign}`)
  return total.client.charged + total.client.free
}

interface Viewer {
  visit: Visit
  /** What the page told, in order: the last part of the address. */
  told: string[]
  /** How it asked for the stream. */
  streams: string[]
}

/** A viewer of a channel whose picture plays. */
async function enter(
  channel: ChannelName,
  { hls = false, options = { ...DESKTOP, ...PERSON }, prepare = async (_page: Page): Promise<unknown> => undefined } = {},
): Promise<Viewer> {
  const [told, streams]: [string[], string[]] = [[], []]
  const visit = await Visit.open(browser, `${server.url}/${channel}`, options, async (page) => {
    page.on('response', (response) => {
      const { pathname } = new URL(response.url())
      if (pathname.startsWith('/i/') && response.status() === 204) told.push(pathname.split('/').at(-1) ?? '')
    })
    page.on('request', (request) => {
      const { pathname, search } = new URL(request.url())
      if (/^\/whep\/[^/]+$|index\.m3u8$/.test(pathname)) streams.push(pathname + (search.includes('session=') ? '?session' : ''))
    })
    if (hls) await page.addInitScript('delete globalThis.RTCPeerConnection')
    await prepare(page)
  })
  await visit.reaches('playing', START_MS)
  const route = hls ? /^LL-HLS/ : /^WebRTC/
  await eventually(`it plays over ${String(route)}`, START_MS, async () =>
    route.test((await visit.page.textContent('[data-testid=route]')) ?? ''),
  )
  return { visit, told, streams }
}

const overlay = ({ page }: Visit) => page.locator('[data-testid=overlay]').first()
const comes = ({ visit }: Viewer) => eventually('the overlay is there', START_MS, () => overlay(visit).isVisible())
const goes = ({ visit }: Viewer) => eventually('the overlay has gone', START_MS, async () => !(await overlay(visit).isVisible()))

/** Notes for each frame its code, and whether the overlay is painted along with it. */
async function record({ page }: Visit): Promise<void> {
  await page.evaluate(() => {
    const frames: { code: number; on: boolean }[] = []
    Object.assign(globalThis, { frames })
    const video = document.querySelector('video')!
    const canvas = Object.assign(document.createElement('canvas'), { width: 480, height: 1 })
    const context = canvas.getContext('2d', { willReadFrequently: true })!
    const step = () => {
      video.requestVideoFrameCallback(step)
      context.drawImage(video, 120, 687, 480, 1, 0, 0, 480, 1)
      const row = context.getImageData(0, 0, 480, 1).data
      let code = 0
      for (let bit = 0; bit < 16; bit += 1) code = code * 2 + (row[(bit * 30 + 11) * 4]! > 127 ? 1 : 0)
      // After everything else that is done for this frame, and before it is painted.
      requestAnimationFrame(() => {
        const element = document.querySelector('[data-testid=overlay]')
        frames.push({ code, on: element !== null && getComputedStyle(element).visibility === 'visible' })
      })
    }
    video.requestVideoFrameCallback(step)
  })
}

const recorded = ({ page }: Visit) =>
  page.evaluate(() => (globalThis as unknown as { frames: { code: number; on: boolean }[] }).frames)

/** How many frames into a slot a frame with this code is; the codes begin again and again. */
function framesInto(slot: Cue, code: number, { rate, frames }: { rate: number; frames: number }): number {
  const into = code - ((slot.start_ns / 1e9) * rate) % frames
  return into - Math.round(into / frames) * frames
}

test('over WebRTC and over LL-HLS an overlay is on exactly its frames', { skip }, async () => {
  const viewers = [await enter('harbour'), await enter('harbour', { hls: true })]
  for (const { visit, streams } of viewers) {
    assert.ok(streams.at(-1)?.endsWith('?session'), `it watches the source: ${streams.join(' ')}`)
    await record(visit)
  }
  const id = await openSlot('harbour', 'lower_third', 6000)
  await Promise.all(viewers.map(async (viewer) => (await comes(viewer), goes(viewer))))
  const slot = await cue(id)
  const clip = CLIPS.harbour
  const length = (slot.duration_ms / 1000) * clip.rate
  for (const { visit, told } of viewers) {
    const frames = (await recorded(visit)).map(({ code, on }) => ({ on, into: framesInto(slot, code, clip) }))
    const on = frames.filter((frame) => frame.on)
    console.log(`on from ${on[0]?.into.toFixed(2)} to ${on.at(-1)?.into.toFixed(2)} of ${length} frames, ${on.length} seen`)
    assert.ok(on.length > length / 2, `${on.length} frames with it`)
    // The sound may come first, and media time begins with it: by less than a frame.
    for (const frame of frames) {
      const within = frame.into >= 0 && frame.into < length
      const near = Math.min(Math.abs(frame.into), Math.abs(frame.into - length)) <= 2
      assert.ok(near || frame.on === within, `frame ${frame.into} of the slot: ${frame.on ? 'with' : 'without'} it`)
    }
    await eventually('all of it was told', START_MS, async () => told.includes('complete'))
    assert.deepEqual(told, ['display', 'viewable', 'first_quartile', 'midpoint', 'third_quartile', 'complete'])
    assert.deepEqual(visit.complaints, [])
    await visit.close()
  }
})

test('a screenshot has the overlay if and only if it has one of its frames', { skip }, async () => {
  const reader = await browser.newPage()
  for (const hls of [false, true]) {
    const viewer = await enter('slow', { hls })
    const { page } = viewer.visit
    const box = (await page.locator('video').boundingBox())!
    const shots: Buffer[] = []
    const id = await openSlot('slow', 'lower_third', 5000)
    let seen = false
    await eventually('it has come and gone', START_MS, async () => {
      shots.push(await page.screenshot({ clip: box }))
      const on = await overlay(viewer.visit).isVisible()
      seen ||= on
      return seen && !on
    })
    shots.push(await page.screenshot({ clip: box }))
    const slot = await cue(id)
    const length = (slot.duration_ms / 1000) * CLIPS.slow.rate
    let within = 0
    for (const shot of shots) {
      const { code, has } = await reader.evaluate(
        async ([image, colour]) => {
          const bytes = Uint8Array.from(atob(image), (character) => character.charCodeAt(0))
          const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
          const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
          const context = canvas.getContext('2d')!
          context.drawImage(bitmap, 0, 0)
          const at = (x: number, y: number) => context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data
          let code = 0
          for (let bit = 0; bit < 16; bit += 1) {
            code = code * 2 + (at(((2 * bit + 1) * bitmap.width) / 32, bitmap.height / 16)[0]! > 127 ? 1 : 0)
          }
          const pixel = at(bitmap.width / 2, bitmap.height * 0.85)
          return { code, has: colour.every((value, index) => Math.abs(value - pixel[index]!) < 40) }
        },
        [shot.toString('base64'), [...COLOUR]] as const,
      )
      const into = framesInto(slot, code, CLIPS.slow)
      // At 4 frames a second the first and the last one are those in which it comes and goes.
      if (Math.min(Math.abs(into), Math.abs(into - length)) <= 1) continue
      const expected = into >= 0 && into < length
      within += expected ? 1 : 0
      assert.equal(has, expected, `frame ${into} of the slot of ${length}, ${hls ? 'LL-HLS' : 'WebRTC'}`)
    }
    assert.ok(within > 2, `${within} of ${shots.length} screenshots are of the slot`)
    await viewer.visit.close()
  }
  await reader.close()
})

test('a click leads to the advertiser in a new tab, and a close is the end of it', { skip }, async () => {
  const viewer = await enter('harbour')
  const { page } = viewer.visit
  const link = overlay(viewer.visit).locator('a')
  const focused = () => page.evaluate(() => document.activeElement?.tagName)
  const before = await focused()
  await openSlot('harbour', 'corner', 20_000)
  await comes(viewer)
  assert.equal(await focused(), before, 'it takes no focus')
  assert.match((await link.getAttribute('aria-label')) ?? '', /Advertisement by Ann’s Teas/)
  assert.equal(await link.getAttribute('rel'), 'noopener')
  assert.equal(await page.getByText('Ad · Ann’s Teas').isVisible(), true)
  await eventually('it is displayed', START_MS, async () => viewer.told.includes('display'))
  const clicked = page.context().waitForEvent('request', (request) => new URL(request.url()).pathname.startsWith('/c/'))
  const opened = page.context().waitForEvent('page')
  await link.click()
  assert.equal((await (await clicked).response())?.headers().location, 'https://teas.example/summer')
  await (await opened).close()
  const close = page.getByRole('button', { name: 'Close the advertisement' })
  await close.waitFor({ timeout: START_MS })
  await close.press('Enter')
  await goes(viewer)
  await eventually('the close is told', START_MS, async () => viewer.told.includes('close'))
  assert.equal(viewer.told.filter((what) => what === 'close').length, 1)
  assert.deepEqual(viewer.visit.complaints, [])
  await viewer.visit.close()
})

test('a hidden page bills nothing', { skip }, async () => {
  const displays = await clientDisplays()
  const viewer = await enter('harbour')
  await viewer.visit.page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })
    document.dispatchEvent(new Event('visibilitychange'))
  })
  const id = await openSlot('harbour', 'lower_third', 4000)
  await comes(viewer)
  await goes(viewer)
  await eventually('the slot is over', START_MS, async () => (await cue(id)).stage === 'over')
  assert.deepEqual(viewer.told, [])
  assert.equal(await clientDisplays(), displays)
  await viewer.visit.close()
})

test('who blocks the image watches the programme, and nothing is told', { skip }, async () => {
  const viewer = await enter('harbour', {
    prepare: (page) => page.route('**/creatives/**', (route) => route.abort('blockedbyclient')),
  })
  assert.match(viewer.streams.at(-1) ?? '', /\?session$/)
  await openSlot('harbour', 'lower_third', 8000)
  await eventually('it asks for the programme', START_MS, async () => viewer.streams.at(-1) === '/whep/harbour')
  await viewer.visit.reaches('playing', START_MS)
  assert.equal(await overlay(viewer.visit).count(), 0)
  assert.deepEqual(viewer.told, [])
  await viewer.visit.close()
})

test('from WebRTC to LL-HLS in mid-slot an overlay goes on, and is billed once', { skip }, async () => {
  const displays = await clientDisplays()
  const viewer = await enter('harbour')
  const { page } = viewer.visit
  await openSlot('harbour', 'lower_third', 40_000)
  await eventually('it is displayed', START_MS, async () => viewer.told.includes('display'))
  await page.route('**/whep/**', (route) => route.abort())
  await page.evaluate(() => (globalThis as unknown as { connections: RTCPeerConnection[] }).connections.at(-1)?.close())
  await eventually('it plays over LL-HLS', START_MS, async () =>
    /^LL-HLS/.test((await page.textContent('[data-testid=route]')) ?? ''),
  )
  assert.match(viewer.streams.at(-1) ?? '', /index\.m3u8\?session$/)
  await comes(viewer)
  await goes(viewer)
  assert.equal(viewer.told.filter((what) => what === 'display').length, 1)
  assert.equal(new Set(viewer.told).size, viewer.told.length, `told twice: ${viewer.told.join(' ')}`)
  await eventually('one display is billed', START_MS, async () => (await clientDisplays()) === displays + 1)
  await viewer.visit.close()
})

for (const [device, options] of [['desktop', { ...DESKTOP, ...PERSON }], ['phone', { ...PHONE, ...PERSON_WITH_PHONE }]] as const) {
  test(`all formats fit a ${device}`, { skip }, async () => {
    const viewer = await enter('harbour', { options })
    for (const format of Object.keys(CREATIVES) as Format[]) {
      await openSlot('harbour', format, 4000)
      await comes(viewer)
      await viewer.visit.framesIn(1500)
      await viewer.visit.screenshot(`guided-${format}-${device}`)
      const squeezed = await viewer.visit.page.evaluate(() => {
        const [video, stage] = [document.querySelector('video')!, document.querySelector('[data-phase]')!]
        return video.getBoundingClientRect().width / stage.clientWidth
      })
      const expected = { lower_third: 1, corner: 1, l_shape: 0.775, double_box: 0.5 }[format]
      assert.ok(Math.abs(squeezed - expected) < 0.01, `${format}: the picture has ${squeezed} of its width`)
      await goes(viewer)
    }
    assert.deepEqual(viewer.visit.complaints, [])
    await viewer.visit.close()
  })
}
