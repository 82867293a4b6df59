/**
 * Tells the server what was seen, until it has heard it: `POST /i/TOKEN/EVENT`. What is told of one overlay arrives in the order in
 * which it happened: it is viewable only if it was displayed.
 */

import { Backoff } from '../lib/backoff.ts'
import type { Told } from './meter.ts'

/** What waits to be told again, at most. */
const MAX_WAITING = 64
/** The server keeps a slot open for a viewer's longest delay: later than this it is told in vain, ms. */
const GIVE_UP_MS = 30_000
/** An attempt without an answer for so long is on a dead path, and what waits behind it must not grow worthless, ms. */
const ATTEMPT_MS = 5000

interface Waiting {
  token: string
  url: string
  /** What was waited so far, for answers and between attempts, ms. */
  waited: number
  backoff: Backoff
}

/** Posts to a path; the status of the answer. */
type Post = (path: string) => Promise<number>

export class Beacons {
  readonly #waiting = new Set<Waiting>()
  readonly #post: Post

  constructor(post: Post = postKeptAlive) {
    this.#post = post
  }

  start(): void {
    window.addEventListener('pagehide', this.#leaving)
    document.addEventListener('visibilitychange', this.#hiding)
  }

  stop(): void {
    window.removeEventListener('pagehide', this.#leaving)
    document.removeEventListener('visibilitychange', this.#hiding)
    this.#leaving()
  }

  tell(token: string, told: Told): void {
    if (this.#waiting.size >= MAX_WAITING) return
    const isFirst = this.#next(token) === undefined
    const url = `/i/${encodeURIComponent(token)}/${told}`
    const beacon = { token, url, waited: 0, backoff: new Backoff(500, 8000, 2) }
    this.#waiting.add(beacon)
    if (isFirst) void this.#send(beacon)
  }

  async #send(beacon: Waiting): Promise<void> {
    const sentAt = performance.now()
    const heard = await this.#isHeard(beacon.url)
    if (!this.#waiting.has(beacon)) return
    const wait = beacon.backoff.next()
    beacon.waited += performance.now() - sentAt + wait
    if (heard || beacon.waited > GIVE_UP_MS) {
      this.#waiting.delete(beacon)
      const next = this.#next(beacon.token)
      if (next) void this.#send(next)
      return
    }
    setTimeout(() => {
      if (this.#waiting.has(beacon)) void this.#send(beacon)
    }, wait)
  }

  /** What is to be heard next of an overlay. */
  #next(token: string): Waiting | undefined {
    for (const beacon of this.#waiting) if (beacon.token === token) return beacon
    return undefined
  }

  /** Whether there is no use in telling it again: it was taken, or does not count. Told twice it counts once. */
  async #isHeard(url: string): Promise<boolean> {
    try {
      const status = await this.#post(url)
      return status < 500 && status !== 408 && status !== 429
    } catch {
      return false
    }
  }

  /** The page goes: what is not known to be heard is left to the browser. */
  readonly #leaving = (): void => {
    this.#leaveToBrowser()
    this.#waiting.clear()
  }

  /** A phone may end a hidden page without another word. If it goes on, what waits is told as before: twice counts once. */
  readonly #hiding = (): void => {
    if (document.visibilityState === 'hidden') this.#leaveToBrowser()
  }

  #leaveToBrowser(): void {
    for (const { url } of this.#waiting) navigator.sendBeacon(url)
  }
}

async function postKeptAlive(path: string): Promise<number> {
  const request = { method: 'POST', keepalive: true, credentials: 'same-origin', cache: 'no-store' } as const
  return (await fetch(path, { ...request, signal: AbortSignal.timeout(ATTEMPT_MS) })).status
}
