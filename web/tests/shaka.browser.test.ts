/** A player that is not ours: Shaka Player, which asks for overlays as it would ask AWS Elemental MediaTailor. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { DESKTOP, launch } from './support/browser.ts'
import { PATIENCE_MS } from './support/guided.ts'
import { Sale } from './support/sale.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

const SHAKA = createRequire(import.meta.url).resolve('shaka-player')
const skip = !hasMediaWorker && 'there is no media worker to look at creatives'

let server: Server
let browser: Browser
let sale: Sale
let broadcaster: Broadcaster

before(async () => {
  if (skip) return
  server = await Server.start('serve', { settings: { ONAIR_OVERLAY__IMAGE_TIME: '20s' } })
  sale = await Sale.book(server, [230, 20, 90])
  broadcaster = new Broadcaster(await server.createChannel('terrace', 'Terrace'), 'h264-aac.flv')
  await sale.deliver('terrace', 'guided')
  browser = await launch()
})

after(async () => {
  await broadcaster?.kill()
  await browser?.close()
  await server?.dispose()
})

/** Plays the channel in Shaka Player, with a box for overlays over the picture; `shown` is what was in that box, and when. */
async function play(page: Page, channel: string): Promise<void> {
  await page.addScriptTag({ path: SHAKA })
  await page.evaluate(async (channel) => {
    document.body.innerHTML =
      '<div style="position:relative;width:640px;height:360px"><video muted style="width:100%"></video>' +
      '<div id="ads" style="position:absolute;inset:0"></div></div>'
    const video = document.querySelector('video')!
    const box = document.getElementById('ads')!
    const { shaka } = globalThis as unknown as { shaka: any }
    shaka.polyfill.installAll()
    const player = new shaka.Player()
    await player.attach(video)
    const ads = player.getAdManager()
    const shown: { image: string; top: string; time: number }[] = []
    new MutationObserver(() => {
      const image = box.querySelector('img')
      if (image) shown.push({ image: image.src, top: image.style.top, time: video.currentTime })
    }).observe(box, { childList: true })
    Object.assign(globalThis, { shown })
    ads.setContainers(box, box)
    const told = (error: { code?: number; data?: unknown; stack?: string }) =>
      Promise.reject(new Error(`Shaka: ${error.code} ${JSON.stringify(error.data)} ${error.stack}`))
    const session = ads.requestMediaTailorStream(`${location.origin}/v1/session/${channel}`, { device: 'desktop' })
    await session.then((manifest: string) => player.load(manifest)).catch(told)
    await video.play()
  }, channel)
}

test('Shaka Player lays an overlay over the picture in its time, and it is paid for once', { skip }, async () => {
  await eventually('the channel is live', PATIENCE_MS, async () => {
    const channel = (await (await fetch(`${server.url}/api/v1/channels/terrace`)).json()) as { tracks: unknown[] }
    return channel.tracks.length === 2
  })
  // It looks for captions in segments before it plays, also in the newest while there are few, which is in parts only: it fails then.
  await eventually('some whole segments', PATIENCE_MS, async () => {
    const index = new URL('/hls/terrace/index.m3u8', server.url)
    const media = (await (await fetch(index)).text()).split('\n').find((line) => line !== '' && !line.startsWith('#'))
    return media !== undefined && (await (await fetch(new URL(media, index))).text()).split('#EXTINF').length > 5
  })
  const page = await browser.newPage({ bypassCSP: true, userAgent: DESKTOP.userAgent })
  await page.goto(`${server.url}/api/v1/server`)
  await page.evaluate('globalThis.__name = (value) => value')
  await play(page, 'terrace')
  const [id] = await sale.announce('terrace', [{ format: 'lower_third', duration: 6000 }])
  const shown = () => page.evaluate(() => (globalThis as unknown as { shown: { image: string; top: string; time: number }[] }).shown)
  await eventually('the overlay', PATIENCE_MS, async () => (await shown()).length > 0)
  const [first] = await shown()
  const { start_ns } = await sale.cue(id!)
  // The player looks a few times a second.
  assert.ok(first!.time * 1e9 >= start_ns && first!.time * 1e9 < start_ns + 1e9, `${first!.time} s, of ${start_ns} ns`)
  assert.equal(first!.top, '70%')
  await eventually('it is paid for', PATIENCE_MS, async () => (await sale.displays()).client > 0)
  await eventually('it goes', PATIENCE_MS, async () => (await page.locator('#ads img').count()) === 0)
  await eventually('the slot is over', PATIENCE_MS, async () => (await sale.cue(id!)).stage === 'over')
  assert.deepEqual(await sale.displays(), { client: 1, server: 0 })
  await page.close()
})
