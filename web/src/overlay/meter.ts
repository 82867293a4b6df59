/** What of an overlay was really seen, as the MRC's guidelines for viewable impressions count. Pure; `now` is monotonic ms. */

/** What is told of an overlay. Each is told once. */
export type Told = 'display' | 'viewable' | 'first_quartile' | 'midpoint' | 'third_quartile' | 'complete' | 'close'

/** A still picture is viewable after a second in view, ms. */
const VIEWABLE_MS = 1000
/** Frames farther apart than this are a stall, or a jump: nobody knows what was on the screen between them, ms. */
const MAX_GAP_MS = 500
/** All of it was seen though the last frames are missing, ms. The server allows as much. */
const COMPLETE_SLACK_MS = 250

const QUARTILES = [
  ['first_quartile', 0.25],
  ['midpoint', 0.5],
  ['third_quartile', 0.75],
] as const

/**
 * Time passes from one frame to the next, and only while frames come: a hidden page gets none, a paused or stalled stream has
 * none. One meter goes through the whole slot, whichever way the stream takes.
 */
export class Meter {
  readonly #durationMs: number
  readonly #displayMs: number
  readonly #told = new Set<Told>()
  #last: { now: number; mediaMs: number } | null = null
  /** On the screen in all, and without a break, by the viewer's clock. */
  #shownMs = 0
  #continuousMs = 0
  /** How much of the slot was seen, in media time, and up to where: what comes twice counts once. */
  #watchedMs = 0
  #furthestMs = Number.NEGATIVE_INFINITY
  #closed = false

  /** @param durationMs of the slot, as it was sold. @param displayMs how long on the screen makes a display, in all. */
  constructor(durationMs: number, displayMs: number) {
    this.#durationMs = durationMs
    this.#displayMs = displayMs
  }

  /**
   * A frame came on the screen with the overlay, or the first one after it.
   *
   * @param seen the page is visible, and at least half of the overlay is in view.
   * @returns what is to be told now.
   */
  frame(now: number, mediaMs: number, seen: boolean): Told[] {
    if (this.#closed || !seen) {
      this.interrupt()
      return []
    }
    const last = this.#last
    this.#last = { now, mediaMs }
    if (!last) return []
    const [passed, advanced] = [now - last.now, mediaMs - last.mediaMs]
    if (passed > MAX_GAP_MS || passed < 0 || advanced > MAX_GAP_MS || advanced <= 0) {
      this.#continuousMs = 0
      return []
    }
    this.#shownMs += passed
    this.#continuousMs += passed
    this.#watchedMs += Math.max(0, mediaMs - Math.max(last.mediaMs, this.#furthestMs))
    this.#furthestMs = Math.max(mediaMs, this.#furthestMs)
    return this.#news()
  }

  /** It cannot be seen any more, for now: the page was hidden, the picture paused, the overlay scrolled away. */
  interrupt(): void {
    this.#last = null
    this.#continuousMs = 0
  }

  /** The viewer has closed it: nothing comes after this. */
  close(): Told[] {
    if (this.#closed) return []
    this.#closed = true
    return this.#once('close')
  }

  /** Nothing more is told of it. */
  silence(): void {
    this.#closed = true
  }

  #news(): Told[] {
    const news: Told[] = []
    if (this.#shownMs >= this.#displayMs) news.push(...this.#once('display'))
    // Viewable impressions are some of the impressions: where there is none yet, it cannot be viewable.
    if (this.#told.has('display') && this.#continuousMs >= VIEWABLE_MS) news.push(...this.#once('viewable'))
    for (const [quartile, part] of QUARTILES) {
      if (this.#watchedMs >= this.#durationMs * part) news.push(...this.#once(quartile))
    }
    if (this.#watchedMs >= this.#durationMs - Math.min(COMPLETE_SLACK_MS, this.#durationMs / 10)) {
      news.push(...this.#once('complete'))
    }
    return news
  }

  #once(what: Told): Told[] {
    if (this.#told.has(what)) return []
    this.#told.add(what)
    return [what]
  }
}
