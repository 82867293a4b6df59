/** The overlays of one page: what the server tells, what is on the screen with each frame, and what of it was seen. */

import { flushSync } from 'svelte'

import type { ShownFrame } from '../player/player.ts'
import { Beacons } from './beacons.ts'
import { isHidden } from './blocked.ts'
import { EventLine } from './events.ts'
import { progressAt, type Size } from './geometry.ts'
import type { Told } from './meter.ts'
import { Meters, type Metered } from './meters.ts'
import { Placements, type SourceTime } from './placements.ts'
import type { Admission, Placement } from './protocol.ts'
import { onFrameShown } from './sync.ts'

/** The picture waits no longer than this to be told which one it is, ms. */
const ADMISSION_MS = 1500
/** What stands is told right after a line has come back, ms. */
const SETTLE_MS = 1000
/** Without a line for so long, nobody tells this page what to draw: the programme is watched, ms. */
const LOST_MS = 20_000
/** How often it is looked whether an overlay can be seen, and how often in a row it is missing before that is believed, ms. */
const LOOK_MS = 250
const MISSES = 3
/** Without a frame for so long an overlay goes: the picture is not on its way from one player to the next any more, ms. */
const STALE_MS = 5000

/** What the page knows of its picture. */
export interface Picture {
  /** Watches the source, shown this token. */
  watchSource(token: string): void
  /** Watches the programme, into which the server draws. */
  watchProgram(): void
  /** The media time of a frame that is on the screen; null while unknown, or while it is not the source's. */
  timeOf(frame: ShownFrame, near: number, beganAt: number | null): SourceTime | null
}

/** What is on the screen. */
export interface OnScreen {
  id: string
  /** How far it has come in, 0 to 1. */
  progress: number
  closable: boolean
}

export class Guided {
  /** What is on the screen or will be, to be loaded ahead. */
  placements = $state.raw<readonly Placement[]>([])
  on = $state.raw<OnScreen | null>(null)
  /** Settled once it is known how to watch, or that nobody says. */
  readonly admitted: Promise<void>

  readonly #picture: Picture
  readonly #line: EventLine
  readonly #beacons = new Beacons()
  readonly #known = new Placements()
  readonly #meters = new Meters()
  /** Of images that are decoded. */
  readonly #sizes = new Map<string, Size>()
  readonly #elements = new Map<string, Element>()
  readonly #inView = new Set<string>()
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)')
  #admit: () => void = () => {}
  #video: HTMLVideoElement | null = null
  #stopFrames = () => {}
  #left = false
  #misses = 0
  #frameAt = 0
  #looking: ReturnType<typeof setInterval> | undefined
  #admission: ReturnType<typeof setTimeout> | undefined
  #settling: ReturnType<typeof setTimeout> | undefined
  #losing: ReturnType<typeof setTimeout> | undefined

  /** @param audience what the server is told of the viewer now. */
  constructor(channel: string, audience: () => URLSearchParams, picture: Picture) {
    this.#picture = picture
    this.admitted = new Promise((resolve) => (this.#admit = resolve))
    this.#line = new EventLine(channel, audience, {
      admitted: (admission) => this.#admitted(admission),
      placement: (placement) => this.#placed(placement),
      withdrawn: (id) => this.#forget(id),
      lost: () => (this.#losing ??= setTimeout(() => this.#picture.watchProgram(), LOST_MS)),
      absent: () => this.#admit(),
    })
  }

  start(video: HTMLVideoElement): void {
    this.#video = video
    this.#stopFrames = onFrameShown(video, (now, frame) => this.#frameShown(now, frame))
    for (const event of ['pause', 'waiting', 'seeking', 'emptied']) video.addEventListener(event, this.#interrupt)
    document.addEventListener('visibilitychange', this.#interrupt)
    this.#beacons.start()
    this.#looking = setInterval(() => this.#look(), LOOK_MS)
    this.#admission = setTimeout(() => this.#admit(), ADMISSION_MS)
    this.#line.start()
  }

  stop(): void {
    this.#line.stop()
    this.#stopFrames()
    for (const event of ['pause', 'waiting', 'seeking', 'emptied']) this.#video?.removeEventListener(event, this.#interrupt)
    document.removeEventListener('visibilitychange', this.#interrupt)
    clearInterval(this.#looking)
    for (const timer of [this.#admission, this.#settling, this.#losing]) clearTimeout(timer)
    this.#beacons.stop()
    this.#admit()
  }

  /** Something else is to be told of the viewer. What stands for the viewer now is told again. */
  audienceChanged(): void {
    this.#line.renew()
  }

  /** The element that shows an overlay; null when it goes, or has no place. */
  attach(id: string, element: Element | null): void {
    if (element) this.#elements.set(id, element)
    else for (const known of [this.#elements, this.#inView]) known.delete(id)
  }

  /** The image of an overlay can be painted at once. */
  loaded({ id, image }: Placement, size: Size): void {
    if (this.#known.all.some((placement) => placement.id === id && placement.image === image)) this.#sizes.set(id, size)
  }

  sizeOf(id: string): Size | null {
    return this.#sizes.get(id) ?? null
  }

  /** The image of an overlay does not load. */
  unloadable({ id, image }: Placement, trouble: 'blocked' | 'broken'): void {
    if (!this.#known.all.some((placement) => placement.id === id && placement.image === image)) return
    if (trouble === 'blocked') this.leave()
    else this.#finish(id)
  }

  /** Whether at least half of an overlay's place is in view. */
  viewed(id: string, inView: boolean): void {
    if (inView) this.#inView.add(id)
    else this.#inView.delete(id)
    if (!inView) this.#meters.of(id)?.meter.interrupt()
  }

  /** The viewer does not want to see it any more. */
  close(id: string): void {
    const metered = this.#meters.of(id)
    this.#tell(metered, metered?.meter.close() ?? [])
    this.#finish(id)
  }

  /**
   * No overlays of the page's, for as long as it lives: the programme has them in its picture. The line ends too: while it stands,
   * the server takes this page for one that can be shown something.
   */
  leave(): void {
    if (this.#left) return
    this.#left = true
    console.info('onair: overlays cannot be shown here; the programme is')
    this.#line.stop()
    clearTimeout(this.#losing)
    for (const { id } of this.#known.all) this.#finish(id)
    this.#picture.watchProgram()
  }

  #admitted({ token }: Admission): void {
    clearTimeout(this.#losing)
    this.#losing = undefined
    this.#known.renew()
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => {
      this.#known.settle()
      this.#changed()
    }, SETTLE_MS)
    if (token === null) this.#picture.watchProgram()
    else this.#picture.watchSource(token)
    this.#admit()
  }

  #placed(placement: Placement): void {
    const before = this.#known.all.find(({ id }) => id === placement.id)
    if (this.#left || !this.#known.put(placement)) return
    if (before && before.image !== placement.image) this.#sizes.delete(placement.id)
    this.#meters.placed(placement, this.#known.plannedMs(placement.id))
    this.#changed()
  }

  #forget(id: string): void {
    this.#known.withdraw(id)
    this.#changed()
  }

  #finish(id: string): void {
    this.#known.finish(id)
    this.#meters.of(id)?.meter.silence()
    this.#changed()
  }

  /** Shows what is known now; what is not known any more goes. */
  #changed(): void {
    this.placements = this.#known.all
    const ids = new Set(this.placements.map(({ id }) => id))
    for (const id of this.#sizes.keys()) if (!ids.has(id)) this.#sizes.delete(id)
    if (this.on && !ids.has(this.on.id)) this.#off()
  }

  #off(): void {
    if (this.on) this.#meters.of(this.on.id)?.meter.interrupt()
    this.on = null
    this.#misses = 0
  }

  readonly #interrupt = (): void => {
    if (this.on) this.#meters.of(this.on.id)?.meter.interrupt()
  }

  #frameShown(now: number, frame: ShownFrame): void {
    this.#frameAt = performance.now()
    if (this.placements.length === 0) return
    const timeOf = (placement: Placement) => this.#picture.timeOf(frame, placement.startMs, placement.beganAt)
    const found = this.#known.at((placement) => (this.#sizes.has(placement.id) ? timeOf(placement) : null))
    const before = this.placements.find(({ id }) => id === this.on?.id)
    if (before && before.id !== found?.placement.id) this.#ended(before, now, timeOf(before))
    if (!found) return
    const { placement, timeMs } = found
    const { id, format, startMs, endMs, closeAfterMs } = placement
    const metered = this.#meters.of(id)
    const seen = this.#isSeen(id)
    const progress = this.#calm.matches ? 1 : progressAt(format, startMs, endMs, timeMs)
    if (metered) metered.since ??= timeMs
    const closable = timeMs - (metered?.since ?? timeMs) >= closeAfterMs
    this.#show({ id, progress, closable })
    this.#tell(metered, metered?.meter.frame(now, timeMs, seen) ?? [])
  }

  /** The first frame without it says how long the last one with it was there. */
  #ended(placement: Placement, now: number, time: SourceTime | null): void {
    const metered = this.#meters.of(placement.id)
    if (time) this.#tell(metered, metered?.meter.frame(now, time.ms, this.#isSeen(placement.id)) ?? [])
    this.#off()
    flushSync()
  }

  /** What is painted along with the frame has to be there when its callback returns. */
  #show(on: OnScreen): void {
    const { on: before } = this
    if (before?.id === on.id && before.progress === on.progress && before.closable === on.closable) return
    this.on = on
    flushSync()
  }

  #isSeen(id: string): boolean {
    const video = this.#video as (HTMLVideoElement & { webkitDisplayingFullscreen?: boolean }) | null
    // The picture alone is somewhere else, without what lies over it.
    const away = document.pictureInPictureElement === video || video?.webkitDisplayingFullscreen === true
    return document.visibilityState === 'visible' && this.#inView.has(id) && !away
  }

  #tell(metered: Metered | undefined, news: readonly Told[]): void {
    for (const told of news) if (metered?.token) this.#beacons.tell(metered.token, told)
  }

  #look(): void {
    if (!this.on || document.visibilityState !== 'visible') return
    const still = performance.now() - this.#frameAt
    if (still > STALE_MS && !this.#video?.paused) return this.#off()
    if (still > 2 * LOOK_MS) return
    const element = this.#elements.get(this.on.id)
    this.#misses = element && isHidden(element) ? this.#misses + 1 : 0
    if (this.#misses >= MISSES) this.leave()
  }
}
