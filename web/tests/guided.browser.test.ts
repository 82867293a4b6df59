/** Overlays that are sold and that the page draws: on their frames over WebRTC and LL-HLS, and counted as they were seen. */

import assert from 'node:assert/strict'
import { after, afterEach, before, test, type TestContext } from 'node:test'

import type { Browser } from 'playwright-core'

import { DESKTOP, PHONE, barePage, launch, screenshots } from './support/browser.ts'
import {
  DEMO_CODE,
  FIXTURE_CODE,
  GuidedVisit,
  PATIENCE_MS,
  type Code,
  type Frame,
} from './support/guided.ts'
import { ADVERTISER, CLICK_URL, FORMATS, Sale, type Cue } from './support/sale.ts'
import { png } from './support/png.ts'
import { Tabs } from './support/tabs.ts'
import { Broadcaster, Server, eventually, hasMediaWorker } from './support/server.ts'

/** No part of the clips has this colour. */
const COLOUR = [230, 20, 90] as const

/** A channel's clip: its frames a second, and of how many its numbers begin again. */
interface Clip {
  file: string
  rate: number
  frames: number
  code: Code
}
const CLIPS = {
  harbour: { file: 'demo.flv', rate: 30, frames: 1800, code: DEMO_CODE },
  attic: { file: '4fps.flv', rate: 4, frames: 48, code: FIXTURE_CODE },
  porch: { file: 'h264-aac.flv', rate: 30, frames: 180, code: FIXTURE_CODE },
  kitchen: { file: 'h264-aac.flv', rate: 30, frames: 180, code: FIXTURE_CODE },
} satisfies Record<string, Clip>
type ChannelName = keyof typeof CLIPS

/** How often a slot is called for "now": more of them for figures. */
const CALLS = Number(process.env.ONAIR_GUIDED_CALLS ?? 6)
const skip = !hasMediaWorker && 'there is no media worker to look at creatives'

let server: Server
let browser: Browser
let sale: Sale
const broadcasters: Broadcaster[] = []

before(async () => {
  if (skip) return
  // On a busy machine it takes a while to look at a creative.
  server = await Server.start('serve', { webRtc: true, settings: { ONAIR_CUES__GAP: '0s', ONAIR_OVERLAY__IMAGE_TIME: '20s' } })
  sale = await Sale.book(server, COLOUR)
  for (const [name, { file }] of Object.entries(CLIPS)) {
    broadcasters.push(new Broadcaster(await server.createChannel(name, name), file))
    await sale.deliver(name, name === 'kitchen' ? 'guided_and_burned' : 'guided')
  }
  browser = await launch()
})

after(async () => {
  for (const broadcaster of broadcasters) await broadcaster.kill()
  await browser?.close()
  await server?.dispose()
  console.log(`screenshots: ${screenshots}`)
})

afterEach(() => sale?.clear())

/** A viewer until the end of the test, however that ends. */
async function enter(context: TestContext, channel: ChannelName, how: Parameters<typeof GuidedVisit.open>[2] = {}): Promise<GuidedVisit> {
  const viewer = await GuidedVisit.open(browser, `${server.url}/${channel}`, how)
  context.after(() => viewer.close())
  return viewer
}

const isOver = (id: string) =>
  eventually('the slot is over', PATIENCE_MS, async () => {
    const cue = await sale.cue(id)
    return cue.stage === 'over' && cue
  })

/** How many frames into a slot a frame with this number is; the numbers begin again and again. */
function framesInto({ start_ns }: Pick<Cue, 'start_ns'>, number: number, { rate, frames }: Clip): number {
  const into = number - (((start_ns / 1e9) * rate) % frames)
  return into - Math.round(into / frames) * frames
}

/** Whether a page knows for certain that all of the overlay was seen: with frames from its beginning to its end, and no stall. */
function isSeenWhole(frames: readonly (Frame & { into: number })[], { rate }: Clip, length: number): boolean {
  const first = frames.findIndex(({ on }) => on)
  const seen = frames.slice(first, frames.findLastIndex(({ on }) => on) + 2)
  const isNear = (one: number, other: number) => Math.abs(one - other) <= rate / 10
  const goesOn = seen.every(({ at, into }, place) => {
    const before = seen[place - 1]
    return !before || (at - before.at < 400 && into - before.into < rate * 0.4)
  })
  return goesOn && isNear(seen[0]!.into, 0) && isNear(seen.at(-1)!.into, length)
}

test('over WebRTC and over LL-HLS an overlay is on exactly its frames', { skip }, async (context) => {
  const clip = CLIPS.harbour
  const viewers = await Promise.all([enter(context, 'harbour'), enter(context, 'harbour', { hls: true })])
  for (const viewer of viewers) await viewer.record(clip.code)
  const [id] = await sale.announce('harbour', [{ duration: 6000 }])
  await Promise.all(viewers.map((viewer) => viewer.comes().then(() => viewer.goes())))
  const slot = await sale.cue(id!)
  const length = (slot.duration_ms / 1000) * clip.rate
  for (const [index, viewer] of viewers.entries()) {
    const frames = (await viewer.recorded()).map((frame) => ({ ...frame, into: framesInto(slot, frame.code, clip) }))
    const on = frames.filter((frame) => frame.on)
    const way = index === 0 ? 'WebRTC' : 'LL-HLS'
    console.log(`${way}: on from ${on[0]?.into.toFixed(2)} to ${on.at(-1)?.into.toFixed(2)} of ${length} frames, ${on.length} seen`)
    assert.ok(on.length > length / 4, `${on.length} frames with it`)
    for (const frame of frames) {
      const within = frame.into >= 0 && frame.into < length
      const near = Math.min(Math.abs(frame.into), Math.abs(frame.into - length)) <= 1
      assert.ok(near || frame.on === within, `${way}: frame ${frame.into} of the slot: ${frame.on ? 'with' : 'without'} it`)
    }
    const isSmooth = isSeenWhole(frames, clip, length)
    await viewer.tells(isSmooth ? 'complete' : 'display')
    const order = ['display', 'viewable', 'first_quartile', 'midpoint', 'third_quartile', 'complete']
    assert.deepEqual(viewer.told, isSmooth ? order : order.filter((what) => viewer.told.includes(what)))
    assert.ok(viewer.streams.every((stream) => stream.endsWith(' source')), `it watches the source: ${viewer.streams.join(', ')}`)
    assert.deepEqual(viewer.visit.complaints, [])
  }
})

test('a screenshot has the overlay if and only if it has one of its frames', { skip }, async (context) => {
  const clip = CLIPS.attic
  const reader = await barePage(browser, server.url)
  const viewers = await Promise.all([enter(context, 'attic'), enter(context, 'attic', { hls: true })])
  // What asks for a tap would lie over the number.
  for (const { page } of viewers) await page.keyboard.press('m')
  const [id] = await sale.announce('attic', [{ duration: 4000 }])
  const shots = await Promise.all(
    viewers.map(async ({ page, overlay }) => {
      const box = (await page.locator('video').boundingBox())!
      const taken: Buffer[] = []
      let seen = false
      await eventually('it has come and gone', PATIENCE_MS, async () => {
        taken.push(await page.screenshot({ clip: box }))
        const on = (await overlay.count()) > 0
        seen ||= on
        return seen && !on
      })
      taken.push(await page.screenshot({ clip: box }))
      return taken
    }),
  )
  const slot = await sale.cue(id!)
  const length = (slot.duration_ms / 1000) * clip.rate
  for (const [index, taken] of shots.entries()) {
    let within = 0
    for (const shot of taken) {
      const { code, has } = await reader.evaluate(
        async ({ image, colour, where }) => {
          const bytes = Uint8Array.from(atob(image), (character) => character.charCodeAt(0))
          const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }))
          const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!
          context.drawImage(bitmap, 0, 0)
          const at = (x: number, y: number) => context.getImageData(Math.floor(x * bitmap.width), Math.floor(y * bitmap.height), 1, 1).data
          let code = 0
          for (let bit = 0; bit < 16; bit += 1) code = code * 2 + (at(where.left + bit * where.pitch, where.top)[0]! > 127 ? 1 : 0)
          const pixel = at(0.5, 0.74)
          return { code, has: colour.every((value, place) => Math.abs(value - pixel[place]!) < 40) }
        },
        { image: shot.toString('base64'), colour: [...COLOUR], where: clip.code },
      )
      const into = framesInto(slot, code, clip)
      // At 4 frames a second the first and the last one are those in which it comes and goes.
      if (Math.min(Math.abs(into), Math.abs(into - length)) <= 1) continue
      const expected = into >= 0 && into < length
      within += expected ? 1 : 0
      assert.equal(has, expected, `frame ${into} of the slot of ${length}, ${index === 0 ? 'WebRTC' : 'LL-HLS'}`)
    }
    assert.ok(within > 2, `${within} of ${taken.length} screenshots are of the slot`)
  }
  await reader.close()
})

test('it says that it is an ad, leads to the advertiser, and can be closed after its time', { skip }, async (context) => {
  const counted = await sale.counter('sale_events_total{result="counted"}')
  const viewer = await enter(context, 'porch')
  const { page } = viewer
  await page.context().route(`${new URL(CLICK_URL).origin}/**`, (route) => route.fulfill({ body: 'Teas' }))
  const link = viewer.overlay.locator('a')
  const close = page.getByRole('button', { name: 'Close the advertisement' })
  const focused = () => page.evaluate(() => document.activeElement?.tagName)
  const before = await focused()
  await sale.announce('porch', [{ format: 'corner', duration: 20_000 }])
  await viewer.comes()
  const since = Date.now()
  assert.equal(await close.count(), 0, 'not yet')
  assert.equal(await focused(), before, 'it takes no focus')
  assert.equal(await link.getAttribute('aria-label'), `Advertisement by ${ADVERTISER}, opens in a new tab`)
  assert.equal(await link.getAttribute('rel'), 'noopener')
  assert.equal(await page.getByText(`Ad · ${ADVERTISER}`).isVisible(), true)
  // Nobody clicks at once: such clicks do not count.
  await viewer.tells('first_quartile')
  const opened = page.context().waitForEvent('page')
  await link.click()
  const advertiser = await opened
  await advertiser.waitForURL(CLICK_URL, { timeout: PATIENCE_MS })
  await advertiser.close()
  await close.waitFor({ timeout: PATIENCE_MS })
  assert.ok(Date.now() - since > 4000, 'it can be closed after five seconds of the broadcast')
  await close.press('Enter')
  await viewer.goes()
  await viewer.tells('close')
  // All that the page told, and the click.
  await eventually('the click is counted', PATIENCE_MS, async () => {
    return (await sale.counter('sale_events_total{result="counted"}')) - counted === viewer.told.length + 1
  })
  assert.equal(new Set(viewer.told).size, viewer.told.length)
  assert.deepEqual(viewer.visit.complaints, [])
})

test('a page in a hidden tab bills nothing', { skip }, async (context) => {
  const before = await sale.displays()
  const tabs = await Tabs.of(browser)
  context.after(() => tabs.close())
  const tab = await tabs.open(`${server.url}/porch`, DESKTOP.userAgent)
  const has = (what: string, expression: string) => eventually(what, PATIENCE_MS, () => tab.evaluate<boolean>(expression))
  await has('it plays', "document.querySelector('[data-testid=route]')?.textContent.startsWith('WebRTC') ?? false")
  await tabs.open('about:blank', DESKTOP.userAgent)
  await has('it is hidden', "document.visibilityState === 'hidden'")
  const told = "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('/i/'))"
  const [unseen, seen] = await sale.announce('porch', [{ duration: 3000 }, { duration: 20_000 }])
  assert.deepEqual((await isOver(unseen!)).outcome, { what: 'completed' }, 'it was sold')
  assert.deepEqual(await tab.evaluate<string[]>(told), [])
  assert.deepEqual(await sale.displays(), before)
  await tab.show()
  await has('what it shows now is told', `${told}.some((name) => name.endsWith('/display'))`)
  await sale.withdraw(seen!)
  await has('it has gone', "document.querySelector('[data-testid=overlay].on') === null")
  assert.deepEqual(await sale.displays(), { ...before, client: before.client + 1 }, 'of the slot that was seen')
})

test('from WebRTC to LL-HLS in mid-slot it goes on over the source, and is billed once', { skip }, async (context) => {
  const before = await sale.displays()
  const viewer = await enter(context, 'porch')
  await viewer.record(CLIPS.porch.code)
  const [id] = await sale.announce('porch', [{ duration: 40_000 }])
  await viewer.tells('display')
  await viewer.page.route('**/whep/**', (route) => route.abort())
  await viewer.endSession()
  await viewer.plays('LL-HLS')
  assert.ok(viewer.streams.every((stream) => stream.endsWith(' source')), viewer.streams.join(', '))
  assert.equal(viewer.streams.at(-1), 'hls source')
  const resumed = (await viewer.recorded()).length
  await eventually('it is on the frames of the other way', PATIENCE_MS, async () => {
    return (await viewer.recorded()).slice(resumed).filter(({ on }) => on).length > 40
  })
  await sale.withdraw(id!)
  await viewer.goes()
  assert.equal(new Set(viewer.told).size, viewer.told.length, `told twice: ${viewer.told.join(' ')}`)
  assert.deepEqual(await sale.displays(), { ...before, client: before.client + 1 })
})

test('who blocks it watches the programme, is billed once at most, and is not sold again', { skip }, async (context) => {
  const before = await sale.displays()
  const repeated = await sale.counter('sale_displays_total{result="repeated"}')
  // Without anybody there nothing would be burned in.
  const stop = new AbortController()
  context.after(() => stop.abort())
  const watching = await fetch(`${server.url}/live/kitchen.flv`, { signal: stop.signal })
  void watching.body!.pipeTo(new WritableStream()).catch(() => undefined)
  const [blocker, hider] = await Promise.all([
    enter(context, 'kitchen', { prepare: (page) => page.route('**/creatives/**', (route) => route.abort('blockedbyclient')) }),
    enter(context, 'kitchen'),
  ])
  assert.deepEqual([blocker.streams.at(-1), hider.streams.at(-1)], ['whep source', 'whep source'])
  const [id] = await sale.announce('kitchen', [{ duration: 60_000 }])
  await hider.tells('display')
  await hider.page.evaluate(() => {
    document.querySelector<HTMLElement>('[data-testid=overlay].on')!.style.setProperty('display', 'none', 'important')
  })
  for (const viewer of [blocker, hider]) {
    await eventually('it asks for the programme', PATIENCE_MS, async () => viewer.streams.at(-1) === 'whep program')
    await viewer.plays('WebRTC')
    assert.equal(await viewer.overlay.count(), 0)
    await eventually('the overlay is in the picture', PATIENCE_MS, () => viewer.hasBurnedIn(COLOUR))
  }
  // The one over FLV and the blocker, by their connections; the other page by what it told, though it was sent the picture too.
  await eventually('all have been sent it for long enough', PATIENCE_MS, async () => {
    const { server: sent } = await sale.displays()
    return sent - before.server === 2 && (await sale.counter('sale_displays_total{result="repeated"}')) - repeated === 1
  })
  await sale.withdraw(id!)
  await isOver(id!)
  assert.deepEqual(await sale.displays(), { client: before.client + 1, server: before.server + 2 })
  assert.deepEqual(blocker.told, [])

  await sale.deliver('kitchen', 'guided')
  const [next] = await sale.announce('kitchen', [{ duration: 1000 }])
  assert.equal((await isOver(next!)).outcome?.what, 'no_audience')
})

test('an image that is lost on its way is loaded again, and the page stays with the source', { skip }, async (context) => {
  let requests = 0
  const viewer = await enter(context, 'porch', {
    prepare: (page) =>
      page.route('**/creatives/**', (route) => {
        requests += 1
        return requests === 1 ? route.abort('connectionreset') : route.continue()
      }),
  })
  await sale.announce('porch', [{ duration: 60_000 }])
  await viewer.tells('display')
  assert.ok(requests > 1)
  assert.ok(viewer.streams.every((stream) => stream.endsWith(' source')), viewer.streams.join(', '))
})

test('what is burned in by hand is on its frames too, and is no ad', { skip }, async (context) => {
  const clip = CLIPS.harbour
  const viewer = await enter(context, 'harbour')
  await viewer.record(clip.code)
  const image = new Blob([png(640, 108, COLOUR)], { type: 'image/png' })
  const slot = await sale.byHand('harbour', image, 2000)
  await viewer.comes()
  assert.equal(await viewer.page.getByText(/^Ad\b/).count(), 0)
  assert.equal(await viewer.overlay.locator('a').count(), 0)
  await viewer.goes()
  const length = (slot.duration_ms / 1000) * clip.rate
  for (const { code, on } of await viewer.recorded()) {
    const into = framesInto(slot, code, clip)
    const near = Math.min(Math.abs(into), Math.abs(into - length)) <= 1
    assert.ok(near || on === (into >= 0 && into < length), `frame ${into} of ${length}: ${on ? 'with' : 'without'} it`)
  }
  assert.deepEqual(viewer.told, [])
  assert.deepEqual(viewer.visit.complaints, [])
})

test('all formats fit, on a desktop and on a phone', { skip }, async (context) => {
  const devices = { desktop: DESKTOP, phone: PHONE }
  const viewers = await Promise.all(
    Object.entries(devices).map(async ([name, options]) => ({ name, viewer: await enter(context, 'harbour', { options }) })),
  )
  for (const format of FORMATS) {
    const id = await sale.now('harbour', 60_000, format)
    await Promise.all(
      viewers.map(async ({ name, viewer }) => {
        const expected = { lower_third: 1, corner: 1, l_shape: 0.775, double_box: 0.5 }[format]
        await eventually(`${format} has come in on a ${name}`, PATIENCE_MS, () => hasComeIn(viewer, format, expected))
        await viewer.visit.screenshot(`guided-${format}-${name}`)
      }),
    )
    await sale.withdraw(id)
    await Promise.all(viewers.map(({ viewer }) => viewer.goes()))
  }
  for (const { viewer } of viewers) assert.deepEqual(viewer.visit.complaints, [])
})

/** Whether an overlay is there in full, and the picture has this part of its width. */
function hasComeIn({ page }: GuidedVisit, format: string, part: number): Promise<boolean> {
  return page.evaluate(
    ([wanted, width]) => {
      const overlay = document.querySelector<HTMLElement>(`[data-testid=overlay][data-format=${wanted}].on`)
      const [video, stage] = [document.querySelector('video')!, document.querySelector('[data-phase]')!]
      const squeezed = video.getBoundingClientRect().width / stage.clientWidth
      return overlay !== null && getComputedStyle(overlay).opacity === '1' && Math.abs(squeezed - width) < 0.01
    },
    [format, part] as const,
  )
}

test('what is called for at once is on the screen soon after', { skip }, async (context) => {
  const viewer = await enter(context, 'porch')
  await viewer.record(CLIPS.porch.code)
  const waits: number[] = []
  // The first one loads the creative.
  for (let call = 0; call <= CALLS; call += 1) {
    const before = (await viewer.recorded()).length
    const asked = Date.now()
    const id = await sale.now('porch', 60_000)
    const first = await eventually('it is on the screen', PATIENCE_MS, async () =>
      (await viewer.recorded()).slice(before).find(({ on }) => on),
    )
    if (call > 0) waits.push(first.at - asked)
    await sale.withdraw(id)
    await viewer.goes()
  }
  waits.sort((one, other) => one - other)
  const [p50, p95] = [0.5, 0.95].map((part) => waits[Math.min(waits.length - 1, Math.floor(waits.length * part))])
  console.log(`from the call to the overlay's first frame, ${waits.length} calls: p50 ${p50} ms, p95 ${p95} ms`)
})
