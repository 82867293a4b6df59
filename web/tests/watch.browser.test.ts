/** The pages in a real browser against the real server, with the demo broadcast. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, PHONE, Visit, launch, screenshots } from './support/browser.ts'
import { Server, eventually } from './support/server.ts'

/** A cold start on a busy machine: program, broadcast, browser, first keyframe. */
const START_MS = 20_000

let server: Server
let browser: Browser

before(async () => {
  server = await Server.start('demo')
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.dispose()
  console.log(`screenshots: ${screenshots}`)
})

async function median(values: () => Promise<number | null>): Promise<number> {
  const seen: number[] = []
  while (seen.length < 9) {
    const value = await values()
    if (value !== null) seen.push(value)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return seen.sort((a, b) => a - b)[4]!
}

test('the demo plays within two seconds of live, as shown and as measured in the picture', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await visit.reaches('playing', START_MS)
  const frames = await visit.framesIn(2000)
  assert.ok(frames >= 30, `${frames} frames in 2 s`)

  const shown = await median(() => visit.shownLatency())
  const measured = await visit.measuredLatency()
  console.log(`latency: ${shown.toFixed(2)} s shown, ${measured.toFixed(2)} s measured`)
  assert.ok(shown > 0.1 && shown < 2, `shows ${shown} s`)
  assert.ok(measured > 0.1 && measured < 2, `measured ${measured} s`)
  assert.ok(Math.abs(shown - measured) < 0.5, `shows ${shown} s, measured ${measured} s`)

  const decoded = await visit.page.evaluate(
    () => document.querySelector('video')!.getVideoPlaybackQuality().totalVideoFrames,
  )
  assert.ok(decoded > 30, `${decoded} frames decoded`)
  assert.match((await visit.page.textContent('[data-testid=route]')) ?? '', /LL-HLS · 1280×720/)
  assert.match((await visit.page.textContent('[data-testid=viewers]')) ?? '', /\d+ viewers?/)
  assert.deepEqual(visit.complaints, [])
  await visit.close()
})

test('it starts muted, and one tap turns the sound on', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`, PHONE)
  await visit.reaches('playing', START_MS)
  assert.equal(await visit.page.evaluate(() => document.querySelector('video')!.muted), true)
  await visit.page.getByRole('button', { name: 'Tap for sound' }).tap()
  assert.equal(await visit.page.evaluate(() => document.querySelector('video')!.muted), false)
  assert.equal(await visit.page.getByRole('button', { name: 'Tap for sound' }).count(), 0)
  const decoded = () =>
    visit.page.evaluate(
      () => (document.querySelector('video') as HTMLVideoElement & { webkitAudioDecodedByteCount: number })
        .webkitAudioDecodedByteCount,
    )
  const first = await decoded()
  await eventually('sound is decoded', 5000, async () => (await decoded()) > first)
  await visit.reaches('playing', 2000)
  assert.deepEqual(visit.complaints, [])
  await visit.close()
})

test('keys work the player, and a pause ends at live', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await visit.reaches('playing', START_MS)
  await visit.page.keyboard.press('m')
  assert.equal(await visit.page.evaluate(() => document.querySelector('video')!.muted), false)
  await visit.page.keyboard.press('k')
  await visit.reaches('paused', 2000)
  assert.equal(await visit.page.getByRole('button', { name: 'Play', exact: true }).count(), 1)
  await new Promise((resolve) => setTimeout(resolve, 4000))
  await visit.page.keyboard.press('k')
  await visit.reaches('playing', 5000)
  await eventually('back within two seconds of live', 8000, async () => {
    const latency = await visit.shownLatency()
    return latency !== null && latency < 2
  })
  assert.deepEqual(visit.complaints, [])
  await visit.close()
})

test('the quality panel opens and has numbers', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await visit.reaches('playing', START_MS)
  await visit.page.getByRole('button', { name: /behind live/ }).click()
  const panel = visit.page.getByRole('region', { name: 'Playback quality' })
  await eventually('a bit rate', 5000, async () => /Bit rate\s*\d[\d.]* [kM]bit\/s/.test(await panel.innerText()))
  const text = await panel.innerText()
  assert.match(text, /Picture\s+1280×720/)
  assert.match(text, /Dropped frames\s+\d+ of \d+/)
  assert.match(text, /Buffer\s+\d\.\d\d s/)
  await visit.screenshot('watch-quality')
  await visit.close()
})

test('a viewer who falls behind is brought back to live', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await visit.reaches('playing', START_MS)
  // As after a hiccup of the network: the same buffer, played from farther back.
  const behind = await visit.page.evaluate(async () => {
    const video = document.querySelector('video')!
    await new Promise((resolve) => setTimeout(resolve, 4000))
    video.currentTime -= 3.5
    return video.buffered.end(video.buffered.length - 1) - video.currentTime
  })
  assert.ok(behind > 3, `only ${behind} s behind what is there`)
  await eventually('it plays what is newest again', 30_000, async () => {
    const left = await visit.page.evaluate(() => {
      const { buffered, currentTime } = document.querySelector('video')!
      return buffered.end(buffered.length - 1) - currentTime
    })
    const latency = await visit.shownLatency()
    return left < 1.8 && latency !== null && latency < 2
  })
  assert.deepEqual(visit.complaints, [])
  await visit.close()
})

test('a browser without Media Source Extensions is told so, or plays by itself', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`, DESKTOP, async (page) => {
    await page.addInitScript('delete window.MediaSource; delete window.ManagedMediaSource')
  })
  const phase = await eventually('an answer', START_MS, async () => {
    const now = await visit.phase()
    return now === 'unsupported' || now === 'playing' ? now : null
  })
  if (phase === 'unsupported') {
    assert.match(await visit.page.innerText('[role=status]'), /cannot play/)
  } else {
    assert.equal(await visit.page.evaluate(() => new URL(document.querySelector('video')!.src).pathname.endsWith('.m3u8')), true)
  }
  await visit.close()
})

test('a stream that cannot be had is asked for at a pace that harms nobody', async () => {
  let asked = 0
  const visit = await Visit.open(browser, `${server.url}/demo`, DESKTOP, async (page) => {
    await page.route('**/hls/**', (route) => {
      asked += 1
      return route.fulfill({ status: 404, body: '' })
    })
  })
  await eventually('the stream is asked for', START_MS, async () => asked > 0)
  await new Promise((resolve) => setTimeout(resolve, 6000))
  assert.ok(asked >= 3 && asked <= 9, `asked ${asked} times`)
  assert.equal(await visit.phase(), 'connecting')
  await visit.page.unroute('**/hls/**')
  await visit.reaches('playing', START_MS)
  await visit.close()
})

test('the start page lists the demo and leads to it', async () => {
  const visit = await Visit.open(browser, `${server.url}/`)
  const link = visit.page.locator('a[href="/demo"]')
  await link.waitFor({ timeout: START_MS })
  assert.match(await link.innerText(), /live/i)
  assert.deepEqual(visit.complaints, [])
  await link.click()
  await visit.reaches('playing', START_MS)
  await visit.close()
})

test('a channel that does not exist is said not to', async () => {
  const visit = await Visit.open(browser, `${server.url}/no-such-channel`)
  await visit.reaches('missing', START_MS)
  assert.match(await visit.page.innerText('[role=status]'), /no such channel/)
  await visit.close()
})

test('the pages work under a policy that allows nothing inline', async () => {
  const response = await fetch(`${server.url}/demo`)
  const policy = response.headers.get('content-security-policy') ?? ''
  assert.match(policy, /script-src 'self'(;|$)/)
  assert.doesNotMatch(policy, /unsafe/)
  assert.match(policy, /require-trusted-types-for 'script'/)
})

for (const [device, options] of [['phone', PHONE], ['desktop', DESKTOP]] as const) {
  for (const colorScheme of ['dark', 'light'] as const) {
    test(`it looks like itself on a ${device}, ${colorScheme}`, async () => {
      const home = await Visit.open(browser, `${server.url}/`, { ...options, colorScheme })
      await home.page.locator('a[href="/demo"]').waitFor({ timeout: START_MS })
      await home.screenshot(`home-${device}-${colorScheme}`)
      await home.close()

      const watch = await Visit.open(browser, `${server.url}/demo`, { ...options, colorScheme })
      await watch.reaches('playing', START_MS)
      await eventually('a latency', 5000, async () => (await watch.shownLatency()) !== null)
      await watch.screenshot(`watch-${device}-${colorScheme}`)
      const overflow = await watch.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      assert.ok(overflow <= 0, `${overflow} px wider than the screen`)
      await watch.close()
    })
  }
}
