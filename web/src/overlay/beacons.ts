/** Tells the server what was seen, until it has heard it: `POST /i/TOKEN/EVENT`. */

import { Backoff } from '../lib/backoff.ts'
import type { Told } from './meter.ts'

/** What waits to be told again, at most. */
const MAX_WAITING = 64
/** The server keeps a slot open for a viewer's longest delay: later than this it is told in vain, ms. */
const GIVE_UP_MS = 30_000

interface Waiting {
  url: string
  since: number
  backoff: Backoff
}

export class Beacons {
  readonly #waiting = new Set<Waiting>()

  start(): void {
    window.addEventListener('pagehide', this.#leaving)
  }

  stop(): void {
    window.removeEventListener('pagehide', this.#leaving)
    this.#leaving()
  }

  tell(token: string, told: Told): void {
    const beacon = {
      url: `/i/${encodeURIComponent(token)}/${told}`,
      since: performance.now(),
      backoff: new Backoff(500, 8000, 2),
    }
    void this.#send(beacon)
  }

  async #send(beacon: Waiting): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) return
    this.#waiting.add(beacon)
    // Told twice it counts once, so whatever is not surely heard is told again.
    const heard = await deliver(beacon.url)
    if (!this.#waiting.has(beacon)) return
    if (heard || performance.now() - beacon.since > GIVE_UP_MS) {
      this.#waiting.delete(beacon)
      return
    }
    setTimeout(() => {
      if (this.#waiting.delete(beacon)) void this.#send(beacon)
    }, beacon.backoff.next())
  }

  /** The page goes: what is not known to be heard is left to the browser. */
  readonly #leaving = (): void => {
    for (const { url } of this.#waiting) navigator.sendBeacon(url)
    this.#waiting.clear()
  }
}

/** Whether there is no use in telling it again: it was taken, or does not count. */
async function deliver(url: string): Promise<boolean> {
  try {
    const { status } = await fetch(url, { method: 'POST', keepalive: true, credentials: 'same-origin', cache: 'no-store' })
    return status < 500 && status !== 408 && status !== 429
  } catch {
    return false
  }
}
