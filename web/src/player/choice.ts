/** Over which protocol to play: WebRTC where it goes, LL-HLS meanwhile. Pure; `now` is monotonic ms. */

import { Backoff } from '../lib/backoff.ts'
import type { PlayerFailure } from './player.ts'

/** Why it is not WebRTC. */
export type Obstacle =
  /** The browser has none. */
  | 'unsupported'
  /** The server has none. */
  | 'absent'
  /** This stream is not handed out over it; `why` is in the server's words. */
  | 'unsuitable'
  /** The network lets nothing through. */
  | 'blocked'
  /** The server takes no more viewers over it. */
  | 'full'
  /** It broke off again and again. */
  | 'unsteady'

export interface Detour {
  obstacle: Obstacle
  why: string
}

/** So many failures in so short a time (ms) are a reason to do without. A stream that just begins may be missing a while. */
const STRIKES = { network: 3, gone: 6 }
const STRIKES_MS = 60_000
/** The first wait before WebRTC is tried again, and the longest, ms. */
const RETRY_MS = 60_000
const RETRY_LONGEST_MS = 30 * 60_000
/** A server that is full and does not say for how long, ms. */
const FULL_MS = 30_000
/** Having played for so long, WebRTC is trusted again, ms. */
const TRUSTED_MS = 60_000

/**
 * One failure of a connection that played is no reason to leave: it is tried again at once. What cannot work for now is
 * not tried for now, and the waits grow; a new broadcast or another network is a reason to try at once.
 */
export class Choice {
  #detour: Detour | null = null
  #retryAt = 0
  #strikes: number[] = []
  #arrivedAt: number | null = null
  readonly #backoff: Backoff

  /** @param random uniform in [0, 1): spreads the viewers who come back. */
  constructor(supported: boolean, random: () => number = Math.random) {
    this.#backoff = new Backoff(RETRY_MS, RETRY_LONGEST_MS, 2, random)
    if (!supported) this.#avoid('unsupported', '', Number.POSITIVE_INFINITY)
  }

  /** Why WebRTC was left; null while there is no reason against it. */
  get detour(): Detour | null {
    return this.#detour
  }

  /** Whether WebRTC is worth trying now. */
  wantsWebRtc(now: number): boolean {
    return now >= this.#retryAt
  }

  /** Media came over WebRTC. */
  arrived(now: number): void {
    this.#arrivedAt = now
    this.#detour = null
    this.#retryAt = 0
  }

  /** WebRTC failed. @param retryAfter how long the server asks to be left alone, ms. */
  failed(reason: PlayerFailure, why: string, now: number, retryAfter: number | null = null): void {
    if (this.#arrivedAt !== null && now - this.#arrivedAt > TRUSTED_MS) this.#backoff.reset()
    this.#arrivedAt = null
    switch (reason) {
      case 'unsuitable':
        return this.#avoid('unsuitable', why, Number.POSITIVE_INFINITY)
      case 'absent':
      case 'blocked':
        return this.#avoid(reason, why, now + this.#backoff.next())
      case 'full':
        return this.#avoid('full', why, now + (retryAfter ?? FULL_MS))
      case 'media':
      case 'codec':
        return this.#avoid('unsteady', why, now + this.#backoff.next())
      case 'gone':
      case 'network':
        this.#strikes = [...this.#strikes.filter((at) => now - at < STRIKES_MS), now]
        if (this.#strikes.length < STRIKES[reason]) return
        this.#strikes = []
        return this.#avoid('unsteady', why, now + this.#backoff.next())
    }
  }

  /** Another broadcast, or the broadcaster is back with other settings: what was wrong with the stream may be right now. */
  broadcastBegan(): void {
    this.#strikes = []
    if (this.#detour?.obstacle === 'unsuitable' || this.#detour?.obstacle === 'unsteady') this.#retryAt = 0
  }

  /** The device is on another network. */
  networkChanged(): void {
    this.#strikes = []
    this.#backoff.reset()
    if (this.#detour?.obstacle === 'blocked' || this.#detour?.obstacle === 'unsteady') this.#retryAt = 0
  }

  #avoid(obstacle: Obstacle, why: string, retryAt: number): void {
    this.#detour = { obstacle, why }
    this.#retryAt = retryAt
  }
}
