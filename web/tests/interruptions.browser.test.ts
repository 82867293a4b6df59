/** A viewer who only keeps the page open: broadcasts begin, break, come back; the server restarts. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, PHONE, Visit, launch } from './support/browser.ts'
import { Broadcaster, Server, eventually } from './support/server.ts'

const START_MS = 20_000

let server: Server
let browser: Browser
let broadcaster: Broadcaster | null = null

before(async () => {
  server = await Server.start('serve')
  browser = await launch()
})

after(async () => {
  await broadcaster?.kill()
  await browser?.close()
  await server?.dispose()
})

test('the start page shows who comes and goes', async () => {
  const address = await server.createChannel('train', 'On the night train')
  const visit = await Visit.open(browser, `${server.url}/`)
  await visit.page.getByText('Nobody is live right now').first().waitFor({ timeout: START_MS })
  await visit.screenshot('home-empty-desktop')
  broadcaster = new Broadcaster(address)
  const link = visit.page.locator('a[href="/train"]')
  await link.waitFor({ timeout: START_MS })
  assert.match(await link.innerText(), /On the night train/)
  await visit.close()
  await broadcaster.kill()
})

test('a page opened too early goes live by itself', async () => {
  const address = await server.createChannel('kitchen', 'In the kitchen')
  const visit = await Visit.open(browser, `${server.url}/kitchen`, PHONE)
  await visit.reaches('offline', START_MS)
  assert.match(await visit.page.innerText('[role=status]'), /Not live yet/)
  assert.match(await visit.page.innerText('h1'), /In the kitchen/)
  await visit.screenshot('watch-offline-phone')

  broadcaster = new Broadcaster(address)
  await visit.reaches('playing', START_MS)
  await framesArePresented(visit)
  assert.deepEqual(visit.complaints, [])
  await visit.close()
  await broadcaster.kill()
})

test('when the broadcaster breaks off, the last frame stays; when they return, so does the picture', async () => {
  const address = await server.createChannel('market', 'At the market')
  broadcaster = new Broadcaster(address)
  const visit = await Visit.open(browser, `${server.url}/market`)
  await visit.reaches('playing', START_MS)

  for (const round of [1, 2]) {
    await broadcaster.kill()
    await visit.reaches('interrupted', 10_000)
    assert.match(await visit.page.innerText('[role=status]'), /Reconnecting/)
    assert.ok(await hasPicture(visit), `the last frame is on screen in round ${round}`)
    if (round === 1) await visit.screenshot('watch-interrupted-desktop')

    broadcaster = new Broadcaster(address)
    await visit.reaches('playing', START_MS)
    await eventually('it is close to live again', 15_000, async () => {
      const latency = await visit.shownLatency()
      return latency !== null && latency > 0 && latency < 2.5
    })
    await framesArePresented(visit)
  }
  assert.deepEqual(visit.complaints, [])

  // The resume window passes, and nobody returns.
  await broadcaster.kill()
  await visit.reaches('ended', 30_000)
  assert.match(await visit.page.innerText('[role=status]'), /has ended/)
  await visit.close()
})

test('after a restart of the server the page goes on by itself', async () => {
  const address = await server.createChannel('garden', 'In the garden')
  broadcaster = new Broadcaster(address)
  const visit = await Visit.open(browser, `${server.url}/garden`)
  await visit.reaches('playing', START_MS)

  await broadcaster.kill()
  await server.stop()
  await visit.reaches('reconnecting', 15_000)
  assert.ok(await hasPicture(visit), 'the last frame is on screen')

  await server.run()
  broadcaster = new Broadcaster(address)
  await visit.reaches('playing', START_MS)
  await framesArePresented(visit)
  await visit.close()
  await broadcaster.kill()
})

test('an upright picture fills a phone, and fits on a desktop', async () => {
  const address = await server.createChannel('street', 'In the street')
  broadcaster = new Broadcaster(address, 'portrait.flv')
  for (const [name, options] of [['phone', PHONE], ['desktop', DESKTOP]] as const) {
    const visit = await Visit.open(browser, `${server.url}/street`, options)
    await visit.reaches('playing', START_MS)
    const box = (await visit.page.getByRole('region', { name: 'Player' }).boundingBox())!
    assert.ok(box.height > box.width, `${box.width}×${box.height}`)
    assert.ok(box.y + box.height < options.viewport.height, 'the title below it is on screen')
    await visit.screenshot(`watch-portrait-${name}`)
    await visit.close()
  }
  await broadcaster.kill()
})

test('a broadcast without a picture plays, and says that there is none', async () => {
  const address = await server.createChannel('choir', 'Choir practice')
  broadcaster = new Broadcaster(address, 'audio-only.flv')
  const visit = await Visit.open(browser, `${server.url}/choir`)
  await visit.reaches('playing', START_MS)
  await visit.page.getByText('Sound only').waitFor({ timeout: 5000 })
  await visit.close()
  await broadcaster.kill()
})

/** The clip has 30 frames a second; half of them leaves room for a busy machine. */
async function framesArePresented(visit: Visit): Promise<void> {
  const frames = await visit.framesIn(2000)
  assert.ok(frames >= 30, `${frames} frames in 2 s`)
}

/** Whether what stands for the picture, video or copy of its last frame, is anything but black. */
function hasPicture(visit: Visit): Promise<boolean> {
  return visit.page.evaluate(() => {
    const kept = document.querySelector<HTMLCanvasElement>('[data-phase] canvas')!
    const source = kept.hidden ? document.querySelector('video')! : kept
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 32
    const context = canvas.getContext('2d')!
    context.drawImage(source, 0, 0, 32, 32)
    return context.getImageData(0, 0, 32, 32).data.some((value, index) => index % 4 !== 3 && value > 24)
  })
}
