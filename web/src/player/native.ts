/** HLS by the browser itself, for those without Media Source Extensions (iPhones before iOS 17.1). */

import type { FrameClock, Player, PlayerEvents, PlayerStats, ShownFrame } from './player.ts'

/** Farther behind than this is jumped, seconds. */
const FAR_BEHIND = 8

export class NativePlayer implements Player {
  readonly protocol = 'HLS'
  readonly #video: HTMLVideoElement
  readonly #url: string
  readonly #events: PlayerEvents
  #destroyed = false

  static supportedBy(video: HTMLVideoElement): boolean {
    return video.canPlayType('application/vnd.apple.mpegurl') !== ''
  }

  constructor(video: HTMLVideoElement, url: string, events: PlayerEvents) {
    this.#video = video
    this.#url = url
    this.#events = events
  }

  get position(): number {
    return this.#video.currentTime
  }

  start(): void {
    this.#video.addEventListener('error', this.#onError)
    this.#video.addEventListener('ended', this.#onEnded)
    this.#video.addEventListener('playing', this.#onPlaying)
    this.#video.src = this.#url
  }

  destroy(): void {
    this.#destroyed = true
    this.#video.removeEventListener('error', this.#onError)
    this.#video.removeEventListener('ended', this.#onEnded)
    this.#video.removeEventListener('playing', this.#onPlaying)
    this.#video.removeAttribute('src')
    this.#video.load()
  }

  wallClockAt(mediaTime: number): number | null {
    // Safari's name for the EXT-X-PROGRAM-DATE-TIME of media time zero.
    const startDate = (this.#video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime()
    return startDate && Number.isFinite(startDate) ? startDate + mediaTime * 1000 : null
  }

  clockOf(frame: ShownFrame): FrameClock {
    return { mediaMs: null, wrapMs: null, wallMs: this.wallClockAt(frame.mediaTime) }
  }

  seekToLive(): void {
    const { seekable } = this.#video
    if (seekable.length > 0) this.#video.currentTime = seekable.end(seekable.length - 1)
  }

  stats(): PlayerStats {
    return { bitrate: null, codecs: null, buffer: null, roundTrip: null, loss: null }
  }

  readonly #onPlaying = (): void => {
    const { seekable, currentTime } = this.#video
    if (seekable.length > 0 && seekable.end(seekable.length - 1) - currentTime > FAR_BEHIND) this.seekToLive()
  }

  readonly #onEnded = (): void => this.#events.failed('gone', 'the playlist ended')

  readonly #onError = (): void => void this.#failed(this.#video.error)

  async #failed(error: MediaError | null): Promise<void> {
    // Of a playlist that it cannot play the browser says the same as of one that it could not fetch.
    const isUnclear = error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED
    const isMedia = error?.code === MediaError.MEDIA_ERR_DECODE || (isUnclear && (await this.#isServed()))
    if (!this.#destroyed) this.#events.failed(isMedia ? 'media' : 'network', error?.message || 'the browser gave no reason')
  }

  async #isServed(): Promise<boolean> {
    try {
      return (await fetch(this.#url, { cache: 'no-store' })).ok
    } catch {
      return false
    }
  }
}
