/** WebRTC by WHEP: the lowest delay there is, where the network lets it through. */

import type { ServerClock } from '../lib/clock.ts'
import { onEachFrame } from '../lib/frames.ts'
import { Peer, type PeerFailure } from '../lib/peer.ts'
import { entriesOf } from '../lib/rtc-stats.ts'
import { mediaClockOffset, wantStereo } from '../lib/sdp.ts'
import { Inbound } from './inbound.ts'
import type { FrameClock, Player, PlayerEvents, PlayerFailure, PlayerStats, ShownFrame } from './player.ts'

/** From the start to something decoded, ms: connecting, and a keyframe. */
const FIRST_MEDIA_MS = 4800
/** How often the statistics are read until there is media, and from then on, ms. */
const LOOK_MS = 100
const SAMPLE_MS = 1000
/** Ticks a millisecond of a picture's RTP timestamps, and how many there are. */
const TICKS_PER_MS = 90
const TICKS = 2 ** 32

/** Where a frame that was shown stands on the server's wall clock. */
interface Moment {
  mediaTime: number
  wallClock: number
}

export class WhepPlayer implements Player {
  readonly protocol = 'WebRTC'
  readonly #video: HTMLVideoElement
  readonly #events: PlayerEvents
  readonly #clock: ServerClock
  readonly #peer: Peer
  readonly #inbound = new Inbound()
  #arrived: ((came: boolean) => void) | null = null
  #connecting: Promise<boolean> | null = null
  #stream: MediaStream | null = null
  /** The RTP timestamp of media time zero; null while the server has not told it. */
  #zero: number | null = null
  #attached = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #startedAt = 0
  #frames = 0
  #pictured = false
  #shown: Moment | null = null
  #stopFrames = () => {}
  #destroyed = false

  static get supported(): boolean {
    return typeof RTCPeerConnection === 'function'
  }

  /** @param clock the server's, to tell how old a frame is. */
  constructor(video: HTMLVideoElement, url: string, clock: ServerClock, events: PlayerEvents) {
    this.#video = video
    this.#events = events
    this.#clock = clock
    this.#peer = new Peer(url, (failure) => this.#giveUp(...failureOf(failure), failure.refusal?.retryAfter))
  }

  get position(): number {
    // A page that is not visible is given no frames; and sound alone has none.
    return this.#pictured && !document.hidden ? this.#frames : this.#video.currentTime
  }

  /** Connects without touching the element: true as soon as there is media to `start` with, false if there is none. */
  connect(): Promise<boolean> {
    this.#connecting ??= new Promise((resolve) => {
      this.#arrived = resolve
      this.#startedAt = performance.now()
      void this.#open()
    })
    return this.#connecting
  }

  start(): void {
    this.#attached = true
    this.#attach()
    void this.connect()
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    clearTimeout(this.#timer)
    this.#stopFrames()
    this.#peer.close()
    if (this.#attached) this.#video.srcObject = null
    this.#arrived?.(false)
  }

  /**
   * Browsers relate the RTP clock to their own by the server's sender reports, once they know the round trip
   * (`captureTime`). Without it, a frame left the server half a round trip before it came; how long it had been there by
   * then is not known, and small while the stream keeps step.
   */
  wallClockAt(mediaTime: number): number | null {
    return this.#shown ? this.#shown.wallClock + (mediaTime - this.#shown.mediaTime) * 1000 : null
  }

  clockOf({ mediaTime, rtpTimestamp }: ShownFrame): FrameClock {
    const zero = this.#zero
    const told = rtpTimestamp !== undefined && zero !== null
    const mediaMs = told ? ((rtpTimestamp - zero + TICKS) % TICKS) / TICKS_PER_MS : null
    return { mediaMs, wrapMs: TICKS / TICKS_PER_MS, wallMs: this.wallClockAt(mediaTime) }
  }

  /** There is no other position than live. */
  seekToLive(): void {}

  stats(): PlayerStats {
    return this.#inbound.stats
  }

  async #open(): Promise<void> {
    const { connection } = this.#peer
    connection.addTransceiver('audio', { direction: 'recvonly' })
    connection.addTransceiver('video', { direction: 'recvonly' })
    await this.#peer.open(wantStereo)
    if (this.#destroyed) return
    this.#zero = mediaClockOffset(this.#peer.answer)
    // A track that the server does not send would keep the element waiting for it.
    const sent = connection.getTransceivers().filter(({ currentDirection }) => currentDirection === 'recvonly')
    // Played as soon as it is complete: the delay is worth more than an even flow through every hiccup.
    for (const { receiver } of sent) if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0
    this.#pictured = sent.some(({ receiver }) => receiver.track.kind === 'video')
    this.#stream = new MediaStream(sent.map(({ receiver }) => receiver.track))
    this.#attach()
    await this.#sample()
  }

  #attach(): void {
    if (!this.#attached || !this.#stream || this.#video.srcObject === this.#stream) return
    this.#video.srcObject = this.#stream
    this.#stopFrames = onEachFrame(this.#video, (_now, frame) => this.#frameShown(frame))
    // A new source stops what played.
    this.#events.reattached()
  }

  #frameShown(frame: VideoFrameCallbackMetadata | null): void {
    this.#frames += 1
    if (!frame) return
    const { roundTrip } = this.#inbound.stats
    const left =
      frame.captureTime ??
      (frame.receiveTime === undefined || roundTrip === null ? null : frame.receiveTime - (roundTrip * 1000) / 2)
    const wallClock = left === null ? null : this.#clock.timeAt(left)
    this.#shown = wallClock === null ? null : { mediaTime: frame.mediaTime, wallClock }
  }

  async #sample(): Promise<void> {
    const report = await this.#peer.connection.getStats()
    if (this.#destroyed) return
    const now = performance.now()
    this.#inbound.observe(now, entriesOf(report))
    if (this.#inbound.media) this.#arrived?.(true)
    else if (now - this.#startedAt > FIRST_MEDIA_MS) return this.#giveUp('media', 'connected, but nothing to see came')
    this.#timer = setTimeout(() => void this.#sample(), this.#inbound.media ? SAMPLE_MS : LOOK_MS)
  }

  #giveUp(reason: PlayerFailure, detail: string, retryAfter?: number | null): void {
    if (this.#destroyed) return
    this.#events.failed(reason, detail, retryAfter)
    this.#arrived?.(false)
  }
}

function failureOf(failure: PeerFailure): [PlayerFailure, string] {
  const { trouble, message, refusal } = failure
  if (trouble === 'blocked') return ['blocked', message]
  if (trouble === 'closed') return ['gone', message]
  if (trouble !== 'refused') return ['network', message]
  const status = refusal?.status ?? 0
  if (status === 409) return ['gone', message]
  if (status === 404 || status === 405 || status === 501) return ['absent', message]
  if (status === 429 || status === 503) return ['full', message]
  return [status >= 500 ? 'network' : 'unsuitable', message]
}
