/** Overlays that the page draws: when, where, and what is told of them. */

import assert from 'node:assert/strict'
import { mock, test, type TestContext } from 'node:test'

import { mediaClockOffset } from '../src/lib/sdp.ts'
import { Beacons } from '../src/overlay/beacons.ts'
import { contain, layoutOf, progressAt, relative, squeezeTo, FORMATS, type Rect, type Size } from '../src/overlay/geometry.ts'
import { loadImage } from '../src/overlay/load.ts'
import { Meter, type Told } from '../src/overlay/meter.ts'
import { Meters } from '../src/overlay/meters.ts'
import { Placements } from '../src/overlay/placements.ts'
import { parseAdmission, parsePlacement, parseWithdrawal, type Placement } from '../src/overlay/protocol.ts'
import { sourceTime } from '../src/overlay/sync.ts'
import { audienceQuery, deviceOf, wantsProgramme } from '../src/overlay/viewer.ts'

function placement(changes: Partial<Placement> = {}): Placement {
  return {
    id: '1',
    revision: 1,
    startMs: 10_000,
    endMs: 16_000,
    format: 'lower_third',
    image: '/creatives/1',
    token: 'token',
    click: '/c/token',
    displayAfterMs: 1000,
    closeAfterMs: 5000,
    advertiser: 'Ann’s Teas',
    beganAt: 1_700_000_000_000,
    ...changes,
  }
}

/** Ids that stand at a media time told to 0.1 ms. */
function standing(known: Placements, ms: number): string | null {
  return known.at(() => ({ ms, slack: 0.1 }))?.placement.id ?? null
}

const size = (width: number, height: number): Size => ({ width, height })
const rect = (x: number, y: number, width: number, height: number): Rect => ({ x, y, width, height })

test('what the server tells is read as far as it makes sense', () => {
  for (const nonsense of ['', 'null', '[]', '{}', '7', '{"delivery":"guided"}', '{"delivery":"maybe","token":"t"}']) {
    assert.equal(parseAdmission(nonsense), null, nonsense)
    assert.equal(parsePlacement(nonsense), null, nonsense)
    assert.equal(parseWithdrawal(nonsense), null, nonsense)
  }
  assert.deepEqual(parseAdmission('{"token":"t","delivery":"guided"}'), { token: 't' })
  assert.deepEqual(parseAdmission('{"token":"t","delivery":"program"}'), { token: null })
  assert.equal(parseWithdrawal('{"id":"7"}'), '7')
  const told = {
    id: '7', revision: 2, start_ns: 5e9, end_ns: 8e9, format: 'corner', image: '/creatives/3', media_type: 'image/png',
    token: 'abc', click: '/c/abc', display_after_ms: 1500, close_after_ms: 2000, advertiser: 'Ben', began_at: 1000,
  }
  const read = parsePlacement(JSON.stringify(told))
  assert.deepEqual([read?.startMs, read?.endMs, read?.closeAfterMs, read?.beganAt], [5000, 8000, 2000, 1000])
  assert.equal(read?.displayAfterMs, 1500)
  const { token: _token, click: _click, advertiser: _advertiser, ...byHand } = told
  const free = parsePlacement(JSON.stringify(byHand))
  assert.deepEqual([free?.token, free?.click, free?.advertiser], [null, null, ''])
  const odd = [
    { format: 'fullscreen' }, { end_ns: 5e9 }, { start_ns: '5' }, { token: '' }, { revision: null }, { id: 7 },
    { image: 'https://elsewhere/x.png' }, { image: '//elsewhere/x.png' }, { image: '/\\elsewhere' }, { image: 'javascript:1' },
  ]
  for (const change of odd) assert.equal(parsePlacement(JSON.stringify({ ...told, ...change })), null, JSON.stringify(change))
  assert.equal(parsePlacement(JSON.stringify({ ...told, click: 'javascript:alert(1)' }))?.click, null)
})

test('an overlay stands on exactly the frames from its start to before its end', () => {
  const known = new Placements()
  known.put(placement())
  const frames = [9966.6, 9999.8, 10_000, 10_033.3, 15_966.7, 15_999.95, 16_000, 16_033.3]
  assert.deepEqual(frames.map((ms) => standing(known, ms)), [null, null, '1', '1', '1', null, null, null])
  // 90 kHz rounds down: the frame at the start stays that.
  assert.equal(standing(known, 9999.99), '1')
  assert.equal(known.at(() => null), null, 'nothing is known of the frame')
})

test('a higher revision takes the place of the lower one, and never the other way round', () => {
  const known = new Placements()
  assert.equal(known.put(placement({ revision: 2, endMs: 12_000 })), true)
  assert.equal(known.put(placement({ revision: 1 })), false)
  assert.equal(standing(known, 13_000), null)
  assert.equal(known.put(placement({ revision: 3, endMs: 11_000 })), true)
  assert.equal(standing(known, 11_500), null)
  assert.equal(known.plannedMs('1'), 2000, 'what its token is for')
})

test('what is withdrawn or closed goes, and what was closed does not come back', () => {
  const known = new Placements()
  known.put(placement())
  known.withdraw('1')
  assert.equal(standing(known, 12_000), null)
  assert.equal(known.put(placement()), true)
  known.finish('1')
  assert.equal(known.put(placement({ revision: 9 })), false)
  assert.equal(standing(known, 12_000), null)
})

test('what is not told again after the line came back is gone', () => {
  const known = new Placements()
  known.put(placement())
  known.put(placement({ id: '2', startMs: 20_000, endMs: 22_000 }))
  known.renew()
  assert.equal(standing(known, 12_000), '1', 'nothing flickers meanwhile')
  known.put(placement({ id: '2', startMs: 20_000, endMs: 22_000 }))
  known.settle()
  assert.deepEqual(known.all.map(({ id }) => id), ['2'])
})

test('placements are bounded, and end with their broadcast or when everybody has seen them', () => {
  const known = new Placements()
  for (let index = 0; index < 1000; index += 1) {
    known.put(placement({ id: `${index}`, startMs: index * 10, endMs: index * 10 + 10 }))
  }
  assert.equal(known.all.length, 32)
  assert.equal(known.all.at(-1)?.id, '999', 'the ones that are over first go first')
  known.put(placement({ id: 'next', beganAt: 1_700_000_900_000 }))
  assert.deepEqual(known.all.map(({ id }) => id), ['next'])
  const later = (id: string, after: number) => placement({ id, beganAt: 1_700_000_900_000, startMs: 16_000 + after, endMs: 18_000 + after })
  known.put(later('soon', 119_000))
  assert.deepEqual(known.all.map(({ id }) => id), ['next', 'soon'])
  known.put(later('late', 121_000))
  assert.deepEqual(known.all.map(({ id }) => id), ['soon', 'late'])
})

test('the formats have the rectangles that the server has', () => {
  const canvas = size(1920, 1080)
  assert.deepEqual(layoutOf('lower_third', canvas, size(1920, 324)), { place: rect(0, 756, 1920, 324), picture: null })
  assert.deepEqual(layoutOf('corner', canvas, size(300, 250)), { place: rect(1278, 26, 616, 514), picture: null })
  assert.deepEqual(layoutOf('l_shape', canvas, size(1280, 720)), { place: rect(0, 0, 1920, 1080), picture: rect(432, 0, 1488, 836) })
  const boxes = layoutOf('double_box', canvas, size(1920, 1080))
  assert.deepEqual(boxes, { place: rect(960, 270, 960, 540), picture: rect(0, 270, 960, 540) })
  const upright = layoutOf('double_box', size(1080, 1920), size(1080, 1920))
  assert.deepEqual(upright, { place: rect(270, 960, 540, 960), picture: rect(270, 0, 540, 960) })
  assert.deepEqual(layoutOf('lower_third', size(1080, 1920), size(1920, 324))?.place, rect(0, 1738, 1080, 182))
  const [banner, tower] = [layoutOf('l_shape', size(1280, 720), size(970, 90)), layoutOf('l_shape', size(1280, 720), size(160, 600))]
  assert.ok(banner && banner.place.y >= 556 && banner.place.width === 1280)
  assert.ok(tower && tower.place.x + tower.place.width <= 288 && tower.place.height === 720)
  for (const format of FORMATS) {
    assert.equal(layoutOf(format, size(31, 400), size(10, 10)), null)
    assert.equal(layoutOf(format, size(640, 360), size(0, 10)), null)
  }
})

test('everything is within the picture, at any size', () => {
  const sides = [32, 33, 90, 175, 180, 320, 719, 1080, 3840]
  const creatives = [size(1, 1), size(300, 250), size(3, 4096), size(4096, 3), size(1920, 1080)]
  for (const width of sides) for (const height of sides) for (const format of FORMATS) for (const creative of creatives) {
    const layout = layoutOf(format, size(width, height), creative)
    for (const { x, y, width: wide, height: high } of [layout!.place, layout!.picture ?? layout!.place]) {
      const what = `${format} ${creative.width}x${creative.height} on ${width}x${height}: ${x} ${y} ${wide} ${high}`
      assert.ok([x, y, wide, high].every((number) => Number.isInteger(number) && number % 2 === 0), what)
      assert.ok(x >= 0 && y >= 0 && wide >= 2 && high >= 2 && x + wide <= width && y + high <= height, what)
    }
  }
})

test('the squeezed element shows the picture in its rectangle, also between black bars', () => {
  const canvas = size(1920, 1080)
  const target = relative(layoutOf('l_shape', canvas, canvas)!.picture!, canvas)
  for (const box of [size(960, 540), size(1000, 900), size(2000, 540)]) {
    const frame = contain(box, canvas)
    const { x, y, scale } = squeezeTo(target, frame, 1)
    const corner = { x: x + frame.x * scale, y: y + frame.y * scale }
    assert.ok(Math.abs(corner.x - (frame.x + target.x * frame.width)) < 1e-6)
    assert.ok(Math.abs(corner.y - (frame.y + target.y * frame.height)) < 1e-6)
    assert.ok(Math.abs(frame.width * scale - target.width * frame.width) < 1e-6)
    assert.deepEqual(squeezeTo(target, frame, 0), { x: 0, y: 0, scale: 1 })
  }
})

test('an overlay comes in and goes within its own frames, in a second at most', () => {
  assert.equal(progressAt('l_shape', 0, 10_000, 0), 0)
  assert.equal(progressAt('l_shape', 0, 10_000, 1000), 1)
  assert.equal(progressAt('l_shape', 0, 10_000, 9000), 1)
  assert.equal(progressAt('l_shape', 0, 10_000, 10_000), 0)
  assert.equal(progressAt('double_box', 0, 2000, 500), 1, 'a short slot has a shorter transition')
  assert.equal(progressAt('corner', 0, 10_000, 300), 1)
  const rising = [0, 100, 200, 500, 900].map((at) => progressAt('l_shape', 0, 10_000, at))
  assert.deepEqual(rising, [...rising].sort((one, other) => one - other))
})

test('media time comes from the way the stream takes, and from the wall clock where that does not tell', () => {
  const wrapMs = 2 ** 32 / 90
  assert.deepEqual(sourceTime({ mediaMs: 500, wrapMs: null, wallMs: 9 }, 0, 0), { ms: 500, slack: 0.1 })
  const wrapped = sourceTime({ mediaMs: 500, wrapMs, wallMs: null }, 2 * wrapMs + 700, null)
  assert.ok(Math.abs(wrapped!.ms - (2 * wrapMs + 500)) < 1e-6)
  const early = sourceTime({ mediaMs: wrapMs - 100, wrapMs, wallMs: null }, 0, null)
  assert.ok(Math.abs(early!.ms + 100) < 1e-6, 'before zero')
  assert.deepEqual(sourceTime({ mediaMs: null, wrapMs: null, wallMs: 5000 }, 0, 2000), { ms: 3000, slack: 1 })
  assert.equal(sourceTime({ mediaMs: null, wrapMs: null, wallMs: 5000 }, 0, null), null)
  assert.equal(sourceTime({ mediaMs: null, wrapMs: null, wallMs: null }, 0, 2000), null)
  const sdp = 'v=0\r\nm=audio 9\r\na=mediaclk:direct=5\r\nm=video 9\r\na=ts-refclk:private\r\na=mediaclk:direct=4294967295\r\n'
  assert.equal(mediaClockOffset(sdp), 4_294_967_295)
  for (const none of ['', 'm=video 9\r\n', 'm=video 9\r\na=mediaclk:sender\r\n', 'm=video 9\r\na=mediaclk:direct=4294967296\r\n']) {
    assert.equal(mediaClockOffset(none), null)
  }
})

/** Frames at 25 a second on both clocks; what was told, and at which frame. */
function watch(meter: Meter, from: number, to: number, seen = true, mediaFrom = from): [number, Told][] {
  const news: [number, Told][] = []
  for (let at = from; at <= to; at += 40) {
    for (const told of meter.frame(at, mediaFrom + (at - from), seen)) news.push([at, told])
  }
  return news
}

test('each event is told once, after the time that it takes', () => {
  const meter = new Meter(8000, 1000)
  const told = watch(meter, 0, 8000)
  assert.deepEqual(told, [
    [1000, 'display'],
    [1000, 'viewable'],
    [2000, 'first_quartile'],
    [4000, 'midpoint'],
    [6000, 'third_quartile'],
    [7760, 'complete'],
  ])
  assert.deepEqual(watch(meter, 8040, 20_000), [])
})

test('without frames, or out of sight, no time passes', () => {
  const unseen = new Meter(8000, 1000)
  assert.deepEqual(watch(unseen, 0, 8000, false), [], 'hidden, or not half in view')
  const still = new Meter(8000, 1000)
  for (let now = 0; now < 8000; now += 40) assert.deepEqual(still.frame(now, 500, true), [], 'the video does not advance')
  const stalled = new Meter(8000, 1000)
  for (let now = 0; now < 8000; now += 900) assert.deepEqual(stalled.frame(now, now, true), [], 'frames are too far apart')
  const jumping = new Meter(8000, 1000)
  for (let at = 0; at < 100; at += 1) assert.deepEqual(jumping.frame(at * 40, at * 900, true), [], 'it jumps')
})

test('what is moved or made longer after it was sold is measured anew, what is only shortened is not', () => {
  const known = new Placements()
  const meters = new Meters()
  /** What is told when this much of it is seen. */
  const see = (told: Placement, ms: number) => {
    known.put(told)
    meters.placed(told, known.plannedMs(told.id))
    return watch(meters.of(told.id)!.meter, told.startMs, told.startMs + ms)
      .filter(([, event]) => event.includes('quartile'))
      .map(([at, event]) => [at - told.startMs, event])
  }
  assert.deepEqual(see(placement(), 2000), [[1520, 'first_quartile']])
  known.withdraw('1')
  const longer = placement({ token: 'other', startMs: 20_000, endMs: 32_000, revision: 2 })
  assert.deepEqual(see(longer, 4000), [[3000, 'first_quartile']])
  const shortened = placement({ ...longer, endMs: 26_000, revision: 3 })
  assert.deepEqual(see(shortened, 4000), [], 'no quartile of a shortened slot comes earlier, or twice')
  assert.equal(known.plannedMs('1'), 12_000)
  // The line was down when it was withdrawn.
  const again = placement({ token: 'third', startMs: 40_000, endMs: 48_000, revision: 4 })
  assert.deepEqual(see(again, 3000), [[2000, 'first_quartile']])
  assert.equal(standing(known, 47_000), '1')
})

test('a display is a second in all, viewable a second without a break', () => {
  const meter = new Meter(8000, 1000)
  assert.deepEqual(watch(meter, 0, 600), [])
  meter.interrupt()
  assert.deepEqual(watch(meter, 5000, 5600), [[5400, 'display']])
  assert.deepEqual(watch(meter, 5640, 6200), [[6000, 'viewable']])
})

test('what is not displayed yet is not viewable', () => {
  const meter = new Meter(8000, 2000)
  assert.deepEqual(watch(meter, 0, 2400), [[2000, 'display'], [2000, 'viewable'], [2000, 'first_quartile']])
  const broken = new Meter(8000, 2000)
  assert.deepEqual(watch(broken, 0, 1200), [])
  broken.interrupt()
  assert.deepEqual(watch(broken, 5000, 6200), [[5800, 'display'], [5800, 'first_quartile'], [6000, 'viewable']])
})

test('over to another player in mid-slot nothing is told or counted twice', () => {
  const meter = new Meter(8000, 1000)
  assert.deepEqual(watch(meter, 0, 3000).map(([, told]) => told), ['display', 'viewable', 'first_quartile'])
  meter.interrupt()
  // The other way is two seconds further behind: from 1000 on it is seen a second time.
  assert.deepEqual(watch(meter, 5000, 8000, true, 1000), [[8000, 'midpoint']])
})

test('a close is told once, and nothing after it', () => {
  const meter = new Meter(8000, 1000)
  watch(meter, 0, 800)
  assert.deepEqual(meter.close(), ['close'])
  assert.deepEqual(meter.close(), [])
  assert.deepEqual(watch(meter, 840, 8000), [])
  const silent = new Meter(8000, 1000)
  silent.silence()
  assert.deepEqual([...watch(silent, 0, 8000), ...silent.close()], [], 'blocked')
})

test('the server is told what it asks for', () => {
  assert.equal(deviceOf('Mozilla/5.0 (Web0S; Linux/SmartTV)', false, 1080), 'tv')
  assert.equal(deviceOf('Mozilla/5.0 (X11; Linux x86_64)', false, 900), 'desktop')
  assert.equal(deviceOf('Mozilla/5.0 (Linux; Android 14)', true, 390), 'phone')
  assert.equal(deviceOf('Mozilla/5.0 (iPad)', true, 768), 'tablet')
  assert.equal(audienceQuery('de-AT', 'phone', '', false).toString(), 'device=phone&consent=0&lang=de')
  assert.equal(audienceQuery('x', 'tv', '?consent=1', false).toString(), 'device=tv&consent=0')
  const asked = audienceQuery('EN', 'desktop', '?tags=tea,cake', true)
  assert.equal(asked.toString(), 'device=desktop&consent=1&lang=en&tags=tea%2Ccake')
})

test('the address of the page says who wants overlays in the picture', () => {
  assert.ok(wantsProgramme('?consent=1&overlays=burned'))
  assert.ok(!wantsProgramme('?overlays=page') && !wantsProgramme(''))
})

test('what was seen is told until the server has heard it, and no longer', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  }
  /** How often it is told to a server that answers like this. */
  const attempts = async (answers: (number | Error)[]): Promise<number> => {
    const paths: string[] = []
    const beacons = new Beacons(async (path) => {
      paths.push(path)
      const answer = answers[Math.min(paths.length, answers.length) - 1]!
      if (answer instanceof Error) throw answer
      return answer
    })
    beacons.tell('to/ken', 'display')
    for (let second = 0; second < 300; second += 1) {
      await settle()
      mock.timers.tick(1000)
    }
    assert.deepEqual(new Set(paths), new Set(['/i/to%2Fken/display']))
    return paths.length
  }
  assert.equal(await attempts([204]), 1)
  assert.equal(await attempts([403]), 1, 'it does not count')
  assert.equal(await attempts([503, new Error('no network'), 429, 204]), 4)
  const vain = await attempts([503])
  assert.ok(vain > 3 && vain < 12, `${vain} times in vain`)
  mock.timers.reset()
})

test('what is told of one overlay arrives in its order, however slow the network is', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  }
  const asked: { path: string; answer: (status: number) => void }[] = []
  const beacons = new Beacons((path) => new Promise((answer) => asked.push({ path, answer })))
  beacons.tell('one', 'display')
  beacons.tell('one', 'viewable')
  beacons.tell('two', 'display')
  const paths = () => asked.map(({ path }) => path)
  assert.deepEqual(paths(), ['/i/one/display', '/i/two/display'], 'overlays do not wait for each other')
  asked[0]!.answer(503)
  await settle()
  assert.equal(asked.length, 2)
  mock.timers.tick(1000)
  assert.equal(paths()[2], '/i/one/display')
  asked[2]!.answer(204)
  await settle()
  assert.equal(paths()[3], '/i/one/viewable')
  mock.timers.reset()
})

test('a path that answers nothing holds up nothing for long', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  }
  let now = 0
  context.mock.method(performance, 'now', () => now)
  const pass = async (ms: number) => {
    now += ms
    context.mock.timers.tick(ms)
    await settle()
  }
  context.mock.method(AbortSignal, 'timeout', (ms: number) => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), ms)
    return controller.signal
  })
  const asked: string[] = []
  let isDead = true
  context.mock.method(globalThis, 'fetch', (path: string, { signal }: { signal: AbortSignal | undefined }) => {
    asked.push(path)
    if (!isDead) return Promise.resolve(new Response(null, { status: 204 }))
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  })
  const beacons = new Beacons()
  beacons.tell('one', 'display')
  beacons.tell('one', 'viewable')
  for (let second = 0; second < 4; second += 1) await pass(1000)
  assert.deepEqual(asked, ['/i/one/display'])
  isDead = false
  for (let second = 0; second < 2; second += 1) await pass(1000)
  assert.deepEqual(asked.slice(1), ['/i/one/display', '/i/one/viewable'])
  isDead = true
  asked.length = 0
  beacons.tell('two', 'display')
  for (let second = 0; second < 60; second += 1) await pass(1000)
  // Waiting for answers counts: else there would be more.
  assert.equal(asked.length, 5)
})

test('what is not heard yet is left to the browser when the page is hidden, and told again if it comes back', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  }
  const page = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  Object.assign(globalThis, { window: new EventTarget(), document: page })
  const left: string[] = []
  const sendBeacon = (url: string) => left.push(url) > 0
  Object.defineProperty(globalThis, 'navigator', { value: { sendBeacon }, configurable: true })
  const show = (visibilityState: string) => {
    page.visibilityState = visibilityState
    page.dispatchEvent(new Event('visibilitychange'))
  }
  const asked: string[] = []
  let status = 503
  const beacons = new Beacons(async (path) => {
    asked.push(path)
    return status
  })
  beacons.start()
  beacons.tell('one', 'display')
  beacons.tell('one', 'viewable')
  await settle()
  show('visible')
  assert.deepEqual(left, [])
  show('hidden')
  assert.deepEqual(left, ['/i/one/display', '/i/one/viewable'])
  status = 204
  context.mock.timers.tick(1000)
  await settle()
  assert.deepEqual(asked, ['/i/one/display', '/i/one/display', '/i/one/viewable'])
  show('hidden')
  assert.equal(left.length, 2, 'it was heard')
  beacons.stop()
  beacons.tell('two', 'display')
  show('hidden')
  assert.equal(left.length, 2, 'it has stopped')
})

/** What becomes of each request, one after the other; the last goes on. */
interface Network {
  /** Of the page's image element, each time that it loads. */
  element: boolean[]
  /** Of any other image element. */
  fresh: boolean
  /** Of what is fetched from the image's address: a status, or that nothing comes back. */
  fetched: (number | 'nothing')[]
  /** Whether the server can be reached at all. */
  reachable: boolean
  mediaType: string
  /** Whether the browser makes a bitmap of it. */
  bitmap: boolean
}

/** How an image loads on such a network, and how often its element was made to load again. */
async function load(context: TestContext, changes: Partial<Network>, isWanted = () => true) {
  const network = { element: [false], fresh: true, fetched: [200], reachable: true, mediaType: 'image/png', bitmap: true, ...changes }
  const next = <T>(answers: T[]): T => (answers.length > 1 ? answers.shift()! : answers[0]!)
  const decode = async (isDecoded: boolean) => {
    if (!isDecoded) throw new DOMException('', 'EncodingError')
  }
  context.mock.timers.enable({ apis: ['setTimeout'] })
  context.mock.method(globalThis, 'fetch', async (url: string) => {
    const status = url === '/creatives/1' ? next(network.fetched) : network.reachable ? 200 : 'nothing'
    if (status === 'nothing') throw new TypeError('Failed to fetch')
    return new Response('', { status, headers: { 'content-type': network.mediaType } })
  })
  class FreshImage {
    src = ''
    decode = () => decode(network.fresh)
  }
  const createImageBitmap = async () => {
    await decode(network.bitmap)
    return { close: () => undefined }
  }
  Object.assign(globalThis, { Image: FreshImage, createImageBitmap })
  let again = 0
  const element = {
    decode: () => decode(next(network.element)),
    set src(url: string) {
      assert.equal(url, '/creatives/1')
      again += 1
    },
  }
  let trouble: string | null | undefined
  void loadImage(element as unknown as HTMLImageElement, '/creatives/1', isWanted).then((found) => (trouble = found))
  for (let second = 0; second < 60 && trouble === undefined; second += 1) {
    // The body of an answer takes turns of the event loop.
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    context.mock.timers.tick(1000)
  }
  context.mock.timers.reset()
  context.mock.restoreAll()
  return { trouble, again }
}

test('an image that the network lost once is loaded again, and not taken for blocked', async (context) => {
  assert.deepEqual(await load(context, { element: [true] }), { trouble: null, again: 0 })
  assert.deepEqual(await load(context, { element: [false, true] }), { trouble: null, again: 1 })
  // A restart behind a proxy, and a network that was away and came back too late for the first attempts.
  assert.deepEqual(await load(context, { element: [false, true], fetched: [502, 200] }), { trouble: null, again: 1 })
  const late: Network['fetched'] = ['nothing', 'nothing', 'nothing', 200]
  assert.deepEqual(await load(context, { element: [false, true], fetched: late }), { trouble: null, again: 1 })
  const away = { element: [false, false, true], fetched: ['nothing'] satisfies Network['fetched'], reachable: false }
  assert.deepEqual(await load(context, away), { trouble: null, again: 2 })
  assert.deepEqual(await load(context, {}), { trouble: 'broken', again: 3 }, 'it ends')
  assert.deepEqual(await load(context, {}, () => false), { trouble: null, again: 0 }, 'the element shows another by now')
})

test('an image that no image element gets, or that alone is not answered for, is blocked', async (context) => {
  assert.deepEqual(await load(context, { fresh: false }), { trouble: 'blocked', again: 0 })
  assert.deepEqual(await load(context, { fetched: ['nothing'] }), { trouble: 'blocked', again: 0 })
  const drawing = { fresh: false, mediaType: 'image/svg+xml', bitmap: false }
  assert.deepEqual(await load(context, drawing), { trouble: 'blocked', again: 0 })
})

test('an image that the server has not, or that nobody can show, is broken', async (context) => {
  assert.deepEqual(await load(context, { fetched: [404] }), { trouble: 'broken', again: 0 })
  assert.deepEqual(await load(context, { fresh: false, bitmap: false }), { trouble: 'broken', again: 0 })
})
