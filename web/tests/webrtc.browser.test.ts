/** From a browser to a browser over WebRTC: the studio goes live, others watch, and LL-HLS stands in where it must. */

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page, Route } from 'playwright-core'

import { Api } from '../src/lib/api.ts'
import { DESKTOP, PHONE, Visit, launch } from './support/browser.ts'
import { Server, eventually } from './support/server.ts'

const START_MS = 20_000

let server: Server
let browser: Browser

before(async () => {
  server = await Server.start('demo', { webRtc: true })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await server?.dispose()
})

/** Makes a channel and returns its stream key. */
async function keyOf(name: string, title: string): Promise<string> {
  const address = await server.createChannel(name, title)
  return address.slice(address.lastIndexOf('/') + 1)
}

/** A studio that is on the air. */
async function goLive(name: string, key: string, options: Parameters<Browser['newContext']>[0] = DESKTOP): Promise<Visit> {
  const studio = await Visit.open(browser, `${server.url}/studio/${name}#key=${encodeURIComponent(key)}`, options)
  await studio.page.getByRole('button', { name: 'Go live' }).click()
  await studioReaches(studio, 'live')
  return studio
}

async function studioReaches(studio: Visit, state: string): Promise<void> {
  const picture = studio.page.getByRole('region', { name: 'Your picture' })
  await eventually(`the studio is ${state}; it complained: ${studio.complaints.join(' | ')}`, START_MS, async () =>
    (await picture.getAttribute('data-state')) === state,
  )
}

/** A number that the latest connection counts in one direction. */
async function counted(visit: Visit, type: 'inbound-rtp' | 'outbound-rtp', kind: string, key: string): Promise<number> {
  const stream = (await visit.rtcStats()).find((entry) => entry.type === type && entry.kind === kind)
  return Number(stream?.[key] ?? 0)
}

async function plays(visit: Visit, protocol: RegExp): Promise<void> {
  await visit.reaches('playing', START_MS)
  await eventually(`it plays over ${protocol}`, 5000, async () =>
    protocol.test((await visit.page.textContent('[data-testid=route]')) ?? ''),
  )
  const frames = await visit.framesIn(2000)
  assert.ok(frames >= 20, `${frames} frames in 2 s`)
}

/** From now on, what the watch page shows is written down. */
function rememberPhases(page: Page): Promise<void> {
  return page.evaluate(() => {
    const stage = document.querySelector<HTMLElement>('[data-phase]')!
    const seen = [stage.dataset.phase]
    new MutationObserver(() => seen.push(stage.dataset.phase)).observe(stage, { attributeFilter: ['data-phase'] })
    Object.assign(globalThis, { phases: seen })
  })
}

const phases = (page: Page) => page.evaluate(() => [...new Set((globalThis as unknown as { phases: string[] }).phases)])

/** What a firewall without UDP makes of an answer: nobody is at the addresses in it. */
async function blockMedia(route: Route): Promise<void> {
  if (route.request().method() !== 'POST') return route.fallback()
  const response = await route.fetch()
  const body = (await response.text()).replace(/^(a=candidate:\S+ \d+ \S+ \d+) \S+ \d+/gm, '$1 192.0.2.1 9')
  await route.fulfill({ response, body })
}

test('a studio goes live with one tap, and another page watches over WebRTC, with sound', async () => {
  const key = await keyOf('kitchen', 'In the kitchen')
  const studio = await goLive('kitchen', key, PHONE)
  const sent = () => counted(studio, 'outbound-rtp', 'video', 'framesSent')
  const first = await sent()
  await eventually('frames are sent', 5000, async () => (await sent()) > first + 10)

  const visit = await Visit.open(browser, `${server.url}/kitchen`)
  await plays(visit, /^WebRTC · \d+×\d+/)
  for (const [kind, counter] of [['video', 'framesDecoded'], ['audio', 'totalSamplesReceived']] as const) {
    await eventually(`${counter} grows`, 5000, async () => (await counted(visit, 'inbound-rtp', kind, counter)) > 20)
  }
  await visit.page.getByRole('button', { name: /Playback quality|behind live/ }).click()
  const panel = visit.page.getByRole('region', { name: 'Playback quality' })
  await eventually('a bit rate and a round trip', 5000, async () =>
    /Bit rate\s*\d[\s\S]*Round trip\s*\d+ ms/.test(await panel.innerText()),
  )
  assert.match(await panel.innerText(), /Codecs\s+\S*(avc1|vp08)/)
  assert.doesNotMatch(await panel.innerText(), /Why not WebRTC/)
  await eventually('the studio counts the viewer', 8000, async () =>
    /^1\b/.test(await studio.page.getByTestId('viewers').innerText()),
  )
  await eventually('the studio judges the connection', 5000, async () =>
    (await studio.page.getByTestId('health').innerText()).includes('Upload'),
  )
  await visit.screenshot('watch-webrtc-desktop')
  await studio.page.evaluate(() => window.scrollTo(0, 0))
  await studio.screenshot('studio-live-phone')
  await studio.page.setViewportSize({ width: 844, height: 390 })
  await studio.screenshot('studio-live-phone-on-its-side')
  assert.deepEqual(visit.complaints, [])
  await visit.close()

  await studio.page.getByRole('button', { name: 'End broadcast' }).click()
  await studio.page.getByRole('button', { name: 'Tap again to end' }).click()
  await studioReaches(studio, 'off')
  assert.deepEqual(studio.complaints, [])
  await studio.close()
})

test('H.264 is what the studio sends, if the browser can make it', async () => {
  const key = await keyOf('codecs', 'Codecs')
  const studio = await goLive('codecs', key)
  const able = await studio.page.evaluate(() =>
    RTCRtpSender.getCapabilities('video')?.codecs.some(({ sdpFmtpLine }) => /profile-level-id=42e0/.test(sdpFmtpLine ?? '')),
  )
  const codec = await eventually('a codec', 5000, async () => {
    const stats = await studio.rtcStats()
    const stream = stats.find((entry) => entry.type === 'outbound-rtp' && entry.kind === 'video')
    return stats.find((entry) => entry.id === stream?.codecId)?.mimeType
  })
  assert.equal(codec, able ? 'video/H264' : 'video/VP8')
  await studio.close()
})

test('the key leaves the address at once, and is not needed again', async () => {
  const key = await keyOf('secret', 'Secret')
  const context = await browser.newContext(DESKTOP)
  const page = await context.newPage()
  await page.goto(`${server.url}/studio/secret#key=${key}`)
  await page.getByRole('button', { name: 'Go live' }).waitFor({ timeout: START_MS })
  assert.equal(page.url(), `${server.url}/studio/secret`)
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie)
  assert.ok(!kept.includes(key), 'no script can read it')

  await page.reload()
  await page.getByRole('button', { name: 'Go live' }).waitFor({ timeout: START_MS })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Stream key').waitFor()
  await page.reload()
  await page.getByLabel('Stream key').waitFor({ timeout: START_MS })
  await context.close()
})

test('without a key it asks for one, says when it is wrong, and takes the right one', async () => {
  const key = await keyOf('door', 'At the door')
  const visit = await Visit.open(browser, `${server.url}/studio/door`, PHONE)
  await visit.page.getByLabel('Stream key').fill('wrong')
  await visit.page.getByRole('button', { name: 'Open the studio' }).click()
  await visit.page.getByText('not the stream key of this channel').waitFor({ timeout: 5000 })
  await visit.screenshot('studio-sign-in-phone')
  await visit.page.getByLabel('Stream key').fill(key)
  await visit.page.keyboard.press('Enter')
  await visit.page.getByRole('button', { name: 'Go live' }).waitFor({ timeout: START_MS })
  await visit.close()
})

test('a camera that is refused is explained, and asked for again on demand', async () => {
  const key = await keyOf('shy', 'Shy')
  const visit = await Visit.open(browser, `${server.url}/studio/shy#key=${key}`, PHONE, async (page) => {
    await page.addInitScript(`
      const devices = navigator.mediaDevices
      const ask = devices.getUserMedia.bind(devices)
      devices.getUserMedia = (wanted) => globalThis.allowed
        ? ask(wanted)
        : Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))
    `)
  })
  await visit.page.getByText('Camera and microphone are not allowed').waitFor({ timeout: START_MS })
  assert.equal(await visit.page.getByRole('button', { name: 'Go live' }).isDisabled(), true)
  await visit.screenshot('studio-refused-phone')
  await visit.page.evaluate('globalThis.allowed = true')
  await visit.page.getByRole('button', { name: 'Try again' }).click()
  await eventually('it can go live', 5000, () => visit.page.getByRole('button', { name: 'Go live' }).isEnabled())
  await visit.close()
})

test('a lower quality is taken over while live', async () => {
  const key = await keyOf('smaller', 'Smaller')
  const studio = await goLive('smaller', key)
  await studio.page.getByLabel('Quality').selectOption('360p')
  await eventually('the picture is smaller', 10_000, async () => {
    const height = await counted(studio, 'outbound-rtp', 'video', 'frameHeight')
    return height > 0 && height <= 360
  })
  await studio.close()
})

test('another camera and the screen are shown without an interruption', async () => {
  const key = await keyOf('cameras', 'Two cameras')
  const studio = await goLive('cameras', key)
  const connections = () => studio.page.evaluate('connections.length')
  const sent = () => counted(studio, 'outbound-rtp', 'video', 'framesSent')
  const cameras = studio.page.getByRole('combobox', { name: 'Camera' })
  const first = await cameras.inputValue()
  // The third: what the second gives, headless Chromium cannot encode.
  const third = { index: 2 }
  for (const [what, act] of [
    ['another camera', () => cameras.selectOption(third)],
    ['the screen', () => studio.page.getByRole('button', { name: 'Share screen' }).click()],
    ['the camera again', () => studio.page.getByRole('button', { name: 'Stop sharing' }).click()],
  ] as const) {
    await act()
    const before = await sent()
    await eventually(`frames of ${what}`, 8000, async () => (await sent()) > before + 5)
  }
  assert.notEqual(await cameras.inputValue(), first)
  assert.equal(await connections(), 1)
  await studio.close()
})

test('a studio without a camera sends sound, and the watch page says that there is no picture', async () => {
  const key = await keyOf('radio', 'Radio')
  const studio = await Visit.open(browser, `${server.url}/studio/radio#key=${key}`, PHONE, (page) =>
    page.addInitScript(`
      const devices = navigator.mediaDevices
      const [ask, list] = [devices.getUserMedia.bind(devices), devices.enumerateDevices.bind(devices)]
      devices.getUserMedia = (wanted) => wanted.video ? Promise.reject(new DOMException('', 'NotFoundError')) : ask(wanted)
      devices.enumerateDevices = async () => (await list()).filter(({ kind }) => kind !== 'videoinput')
    `),
  )
  await studio.page.getByText('Sound only').waitFor({ timeout: START_MS })
  await studio.page.getByRole('button', { name: 'Go live' }).click()
  await studioReaches(studio, 'live')
  const visit = await Visit.open(browser, `${server.url}/radio`)
  await visit.reaches('playing', START_MS)
  await visit.page.getByText('Sound only').waitFor({ timeout: 5000 })
  await eventually('it comes over WebRTC', 5000, async () =>
    /^WebRTC/.test((await visit.page.textContent('[data-testid=route]')) ?? ''),
  )
  await visit.close()
  await studio.close()
})

test('a session that the server loses is opened again by itself, and the viewers’ picture returns', async () => {
  const key = await keyOf('again', 'Again')
  let session = ''
  const studio = await Visit.open(browser, `${server.url}/studio/again#key=${key}`)
  studio.page.on('response', (response) => {
    if (response.status() === 201 && response.url().includes('/whip/')) session = response.headers().location ?? ''
  })
  await studio.page.getByRole('button', { name: 'Go live' }).click()
  await studioReaches(studio, 'live')
  const visit = await Visit.open(browser, `${server.url}/again`)
  await plays(visit, /^WebRTC/)
  const first = session
  await studio.page.evaluate((url) => fetch(url, { method: 'DELETE' }).then(() => {}), first)
  await eventually('another session is opened', START_MS, async () => session !== first)
  await studioReaches(studio, 'live')
  await eventually('frames are on screen again', START_MS, async () => (await visit.framesIn(1000)) > 10)
  await plays(visit, /^WebRTC/)
  await visit.close()
  await studio.close()
})

test('who is replaced by another publisher is told so, and can take the channel back', async () => {
  const key = await keyOf('duel', 'Duel')
  const one = await goLive('duel', key)
  const other = await goLive('duel', key, PHONE)
  await studioReaches(one, 'replaced')
  await one.page.getByText('Somebody else is live now').waitFor()
  await one.screenshot('studio-replaced-desktop')
  await one.page.getByRole('button', { name: 'Take it back' }).click()
  await studioReaches(one, 'live')
  await studioReaches(other, 'replaced')
  await one.close()
  await other.close()
})

test('a change of network restarts ICE, and nothing stops', async () => {
  const key = await keyOf('moving', 'Moving')
  const studio = await goLive('moving', key)
  const visit = await Visit.open(browser, `${server.url}/moving`)
  await plays(visit, /^WebRTC/)
  await rememberPhases(visit.page)
  for (const page of [studio.page, visit.page]) {
    const restarted = page.waitForResponse((response) => response.request().method() === 'PATCH')
    await page.evaluate(() => window.dispatchEvent(new Event('online')))
    assert.equal((await restarted).status(), 200)
  }
  await plays(visit, /^WebRTC/)
  assert.deepEqual(await phases(visit.page), ['playing'])
  await studioReaches(studio, 'live')
  await visit.close()
  await studio.close()
})

test('a stream that does not go over WebRTC plays over LL-HLS, and the page says why', async () => {
  const why = 'The encoder sends B-frames, which WebRTC does not carry.'
  const visit = await Visit.open(browser, `${server.url}/demo`, DESKTOP, async (page) => {
    const body = JSON.stringify({ error: { code: 'not_over_webrtc', message: why } })
    await page.route('**/whep/**', (route) => route.fulfill({ status: 422, contentType: 'application/json', body }))
  })
  await plays(visit, /^LL-HLS/)
  assert.match(await visit.page.getByTestId('detour').innerText(), /does not go over WebRTC/)
  await visit.page.getByRole('button', { name: /behind live/ }).click()
  assert.match(await visit.page.getByRole('region', { name: 'Playback quality' }).innerText(), /sends B-frames/)
  await visit.screenshot('watch-detour-desktop')
  await visit.close()
})

test('where the network lets no WebRTC through it is LL-HLS, until it does; and the picture never stops', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`, DESKTOP, (page) => page.route('**/whep/**', blockMedia))
  await plays(visit, /^LL-HLS/)
  assert.match(await visit.page.getByTestId('detour').innerText(), /lets no WebRTC through/)

  // As long as it is blocked, trying again disturbs nothing.
  await rememberPhases(visit.page)
  const tried = visit.page.waitForResponse((response) => response.url().includes('/whep/'))
  await visit.page.evaluate(() => window.dispatchEvent(new Event('online')))
  await tried
  await plays(visit, /^LL-HLS/)

  await visit.page.unroute('**/whep/**')
  await eventually('WebRTC takes over', START_MS, async () => {
    await visit.page.evaluate(() => window.dispatchEvent(new Event('online')))
    return /^WebRTC/.test((await visit.page.textContent('[data-testid=route]')) ?? '')
  })
  await plays(visit, /^WebRTC/)
  assert.equal(await visit.page.getByTestId('detour').count(), 0)
  assert.deepEqual(await phases(visit.page), ['playing'])
  await visit.close()
})

test('a pause ends at live', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await plays(visit, /^WebRTC/)
  await visit.page.keyboard.press('k')
  await visit.reaches('paused', 2000)
  assert.equal(await visit.framesIn(1000), 0)
  await visit.page.keyboard.press('k')
  await plays(visit, /^WebRTC/)
  await visit.close()
})

test('after a restart of the server the page goes on over WebRTC', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await plays(visit, /^WebRTC/)
  await server.stop()
  await visit.reaches('reconnecting', 15_000)
  await server.run()
  await plays(visit, /^WebRTC/)
  await visit.close()
})

test('a browser without WebRTC plays over LL-HLS', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`, DESKTOP, (page) =>
    page.addInitScript('delete globalThis.RTCPeerConnection'),
  )
  await plays(visit, /^LL-HLS/)
  await visit.close()
})

test('a viewer who closes the page is gone at once', async () => {
  const visit = await Visit.open(browser, `${server.url}/demo`)
  await plays(visit, /^WebRTC/)
  const viewers = async () => (await new Api((path, init) => fetch(server.url + path, init)).channel('demo')).viewers
  await eventually('they are counted', 5000, async () => (await viewers()) === 1)
  await visit.page.goto('about:blank')
  await eventually('they are gone', 3000, async () => (await viewers()) === 0)
  await visit.close()
})

for (const [device, options] of [['phone', PHONE], ['desktop', DESKTOP]] as const) {
  for (const colorScheme of ['dark', 'light'] as const) {
    test(`the studio looks like itself on a ${device}, ${colorScheme}`, async () => {
      const name = `look-${device}-${colorScheme}`
      const key = await keyOf(name, 'A walk through the old town')
      const studio = await Visit.open(browser, `${server.url}/studio/${name}#key=${key}`, { ...options, colorScheme })
      await eventually('it is ready', START_MS, () => studio.page.getByRole('button', { name: 'Go live' }).isEnabled())
      await studio.screenshot(`studio-${device}-${colorScheme}`)
      const overflow = await studio.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      assert.ok(overflow <= 0, `${overflow} px wider than the screen`)
      await studio.close()
    })
  }
}
