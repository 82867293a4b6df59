/** One viewer at one channel: asks the server how things stand, keeps a player going, and tells the page what to show. */

import { ApiError, type Api, type Channel, type FailureReason } from '../lib/api.ts'
import { Backoff } from '../lib/backoff.ts'
import { copyFrame } from '../lib/frames.ts'
import { Repeat } from '../lib/repeat.ts'
import type { Detour } from '../player/choice.ts'
import { Players, type Feed } from '../player/open.ts'
import { SourceTrial } from '../player/source-trial.ts'
import type { SourceTime } from '../overlay/placements.ts'
import { sourceTime } from '../overlay/sync.ts'
import { bufferedAhead, type Player, type PlayerEvents, type PlayerFailure, type ShownFrame } from '../player/player.ts'
import { phaseOf, type Phase } from './phase.ts'

/** How often the server is asked while all is well, ms. */
const POLL_LIVE_MS = 5000
/** The same while the broadcaster is away for a moment: the return should show at once. */
const POLL_INTERRUPTED_MS = 1000
const POLL_HIDDEN_MS = 15_000
/** How long the picture may stand still though the channel is live, before a new player is made, ms. */
const STANDSTILL_MS = 5000
/** The same right after the broadcaster came back. */
const STANDSTILL_AFTER_RETURN_MS = 2500
/** A picture that has not moved for this long has stalled, ms. */
const STALL_MS = 600
/** How often the picture is looked at, ms. */
const OBSERVE_MS = 250
/** A new reading of the server's clock now and then, ms. */
const CLOCK_MS = 60_000
/** With so much to play next, a picture that stands still waits for no network, s. */
const PLAYABLE = 1

/** What the quality panel and the live badge show; `null`: not known. */
export interface Readings {
  latency: number | null
  buffer: number
  rate: number
  width: number
  height: number
  framesPerSecond: number | null
  bitrate: number | null
  codecs: string | null
  roundTrip: number | null
  loss: number | null
  dropped: number
  decoded: number
}

/** Whether the page draws overlays itself, and so watches the source: `watchSource`, `watchProgram`. */
export interface Admission {
  /** Settled once it is known, or will not be known soon. */
  known: Promise<unknown>
  /** The source cannot be played. */
  declined(): void
}

export class WatchSession {
  channel = $state.raw<Channel | null>(null)
  readings = $state.raw<Readings | null>(null)
  protocol = $state.raw<Player['protocol'] | null>(null)
  /** Why it is not WebRTC, if it is not. */
  detour = $state.raw<Detour | null>(null)
  /** A copy of the last frame stands in for the picture. */
  frozen = $state.raw(false)
  #failure = $state.raw<FailureReason | null>(null)
  #picture = $state.raw<'none' | 'opening' | 'playing' | 'waiting' | 'paused'>('none')
  #playerFailure = $state.raw<PlayerFailure | null>(null)
  #unsupported = $state.raw(false)
  #played = $state.raw(false)

  readonly phase: Phase = $derived(
    phaseOf({
      channel: this.channel,
      failure: this.#failure,
      picture: this.#picture,
      playerFailure: this.#playerFailure,
      unsupported: this.#unsupported,
      played: this.#played,
    }),
  )

  readonly #admission: Admission
  readonly #api: Api
  readonly #name: string
  readonly #video: HTMLVideoElement
  readonly #lastFrame: HTMLCanvasElement
  readonly #poll = new Repeat((signal) => this.#ask(signal))
  readonly #clockPoll = new Repeat((signal) => this.#readClock(signal))
  /** Who opened the link a little early sees the start at once; who left the page open for hours, seconds later. */
  readonly #pollBackoff = new Backoff(2000, 6000, 1.07)
  readonly #failureBackoff = new Backoff(1000, 8000)
  readonly #playerBackoff = new Backoff(500, 5000)
  readonly #players: Players
  readonly #events: PlayerEvents = {
    failed: (reason, detail, retryAfter) => this.#playerFailed(reason, detail, retryAfter),
    reattached: () => void this.#play(),
  }
  /** Resolves once the server has said, or failed to say, what it offers. */
  #offer: Promise<void> | undefined
  #player: Player | null = null
  #opening = false
  /** What plays. */
  #feed: Feed = 'program'
  readonly #sourceTrial = new SourceTrial()
  #retry: ReturnType<typeof setTimeout> | undefined
  #observer: ReturnType<typeof setInterval> | undefined
  #clockReadings = 0
  #patience = STANDSTILL_MS
  #movedAt = 0
  #excusedAt = 0
  #position = -1
  #frames = { at: 0, count: 0, rate: null as number | null }

  /**
   * @param lastFrame where the last frame is kept while there is no picture.
   * @param admission to the source, on which the page draws.
   * @param audience what is said of the viewer now.
   */
  constructor(
    api: Api,
    name: string,
    video: HTMLVideoElement,
    lastFrame: HTMLCanvasElement,
    admission: Admission,
    audience: () => URLSearchParams,
  ) {
    this.#admission = admission
    this.#api = api
    this.#name = name
    this.#video = video
    this.#lastFrame = lastFrame
    this.#players = new Players(name, video, api.clock, audience)
  }

  /** The browser will not play even muted video without a tap. */
  blocked = $state.raw(false)

  start(): void {
    this.#video.addEventListener('seeking', this.#seeking)
    window.addEventListener('online', this.#online)
    this.#offer = this.#learnOffer()
    this.#poll.start()
    this.#clockPoll.start()
    this.#observer = setInterval(() => this.#observe(), OBSERVE_MS)
  }

  stop(): void {
    this.#poll.stop()
    this.#clockPoll.stop()
    clearInterval(this.#observer)
    this.#video.removeEventListener('seeking', this.#seeking)
    window.removeEventListener('online', this.#online)
    this.#close()
  }

  /** The server's wall clock at the picture on the screen, Unix ms; null while unknown. */
  pictureClock(): number | null {
    return this.#played ? (this.#player?.wallClockAt(this.#video.currentTime) ?? null) : null
  }

  /** Watches the source, shown this token: at once, if it is the programme that plays. */
  watchSource(token: string): void {
    this.#players.session = token
    this.#watch('source')
  }

  /** Watches the programme: at once, if it is the source that plays. */
  watchProgram(): void {
    this.#watch('program')
  }

  #watch(feed: Feed): void {
    this.#players.feed = feed
    this.#sourceTrial.reset()
    if (this.#player && this.#feed !== feed) this.#openAgain()
  }

  /** The media time of a frame that is on the screen; null while unknown, or while it is not the source's. */
  sourceTimeOf(frame: ShownFrame, near: number, beganAt: number | null): SourceTime | null {
    return this.#feed === 'source' && this.#player ? sourceTime(this.#player.clockOf(frame), near, beganAt) : null
  }

  /** Pauses, or goes on at live: there is no point in going on where it was. */
  togglePaused(): void {
    if (this.#video.paused) this.goLive()
    else this.#video.pause()
  }

  goLive(): void {
    if (this.#video.paused) void this.#play()
    this.#player?.seekToLive()
  }

  /** A jump, the page's or a player's nudge, is no proof that anything plays. */
  readonly #seeking = (): void => {
    this.#position = -1
  }

  readonly #online = (): void => this.#players.networkChanged()

  async #learnOffer(): Promise<void> {
    try {
      const { webRtc } = await this.#api.server()
      if (webRtc === false) this.#players.withoutWebRtc()
    } catch {
      // Unknown: it is tried.
    }
  }

  async #ask(signal: AbortSignal): Promise<number> {
    const before = this.channel
    try {
      this.channel = await this.#api.channel(this.#name, signal)
      this.#failure = null
      this.#failureBackoff.reset()
    } catch (error) {
      if (signal.aborted) return POLL_LIVE_MS
      this.#failure = error instanceof ApiError ? error.reason : 'nonsense'
      return this.#failureBackoff.next()
    }
    const { live, interrupted } = this.channel
    // What went wrong with the last broadcast says nothing of the next.
    if (!live) this.#playerFailure = null
    if (live && before?.interrupted) this.#patience = STANDSTILL_AFTER_RETURN_MS
    // A broadcast that ends plays out what is buffered before its player goes.
    if (!live && !interrupted && (this.#picture !== 'playing' || bufferedAhead(this.#video) < 0.3)) this.#close()
    const came = live && !before?.live
    if (came) {
      this.#playerBackoff.reset()
      this.#players.broadcastBegan()
    }
    // A player that failed is tried again at its own pace, and not at all where the browser cannot decode.
    const waiting = this.#player !== null || this.#retry !== undefined || this.#playerFailure === 'codec'
    if (came || (live && !waiting)) this.#openSoon(0)
    if (document.hidden) return POLL_HIDDEN_MS
    if (interrupted) return POLL_INTERRUPTED_MS
    if (!live) return this.#pollBackoff.next()
    this.#pollBackoff.reset()
    return POLL_LIVE_MS
  }

  async #readClock(signal: AbortSignal): Promise<number> {
    try {
      await this.#api.server(signal)
    } catch {
      return CLOCK_MS / 10
    }
    // The first answers pay for connections being opened; a few more find the short round trip.
    this.#clockReadings += 1
    return this.#clockReadings < 5 ? 700 : CLOCK_MS
  }

  #openSoon(wait: number): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#open(), wait)
  }

  async #open(): Promise<void> {
    this.#retry = undefined
    // While the server does not answer there is nothing to open: `#ask` comes back to it.
    if (this.#opening || this.#player || !this.channel?.live || this.#failure !== null) return
    this.#opening = true
    this.#picture = 'opening'
    try {
      await Promise.all([this.#offer, this.#admission.known])
      this.#feed = this.#players.feed
      const player = await this.#players.open(this.#events)
      this.#unsupported = player === null
      this.#player = player
      this.#excusedAt = performance.now()
      player?.start()
      if (player) void this.#play()
    } catch (error) {
      // The player's own code could not be loaded: the server is restarting, or its pages are newer than this one.
      this.#playerFailed('network', String(error))
    } finally {
      this.#opening = false
    }
    // Meanwhile it may have been told otherwise.
    if (this.#player && this.#feed !== this.#players.feed) this.#openAgain()
  }

  #openAgain(): void {
    this.#close()
    this.#openSoon(0)
  }

  /** Moves on to WebRTC while something else plays. Nothing stops for it: it waits for a picture, then takes its place. */
  async #improve(): Promise<void> {
    const { feed } = this.#players
    const better = await this.#players.better(this.#events)
    if (!better) return
    const isOther = this.#feed !== feed || this.#feed !== this.#players.feed
    if (isOther || !this.#player || this.#video.paused || !this.channel?.live) return better.destroy()
    this.#release()
    this.#player = better
    this.#movedAt = performance.now()
    better.start()
  }

  #close(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#players.stop()
    this.#release()
    this.#picture = 'none'
    this.readings = null
  }

  #release(): void {
    if (this.#player) {
      if (copyFrame(this.#video, this.#lastFrame)) this.frozen = true
      this.#player.destroy()
    }
    this.#player = null
    this.#position = -1
  }

  #playerFailed(reason: PlayerFailure, detail: string, retryAfter?: number | null): void {
    const protocol = this.#player?.protocol ?? null
    console.info(`onair: ${protocol ?? 'player'} failed: ${reason}: ${detail}`)
    const otherWay = this.#players.failed(protocol, reason, detail, retryAfter)
    const isDeclined = this.#feed === 'source' && this.#sourceTrial.failed(protocol, reason)
    if (isDeclined) this.#admission.declined()
    this.#close()
    // What is wrong with the source says nothing of the programme.
    this.#playerFailure = isDeclined ? null : reason
    if (this.#playerFailure === 'codec' && !otherWay) return
    this.#poll.now()
    this.#openSoon(otherWay ? 0 : this.#playerBackoff.next())
  }

  async #play(): Promise<void> {
    try {
      await this.#video.play()
      this.blocked = false
    } catch (error) {
      // AbortError only says that another source came in between.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return
      if (this.#video.muted) {
        this.blocked = true
      } else {
        this.#video.muted = true
        await this.#play()
      }
    }
  }

  #observe(): void {
    const now = performance.now()
    const video = this.#video
    const excused = !this.#player || document.hidden || video.paused || !this.channel?.live || this.#failure !== null
    if (excused) this.#excusedAt = now
    if (!this.#player) return

    const position = video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA ? this.#player.position : -1
    const moved = position !== this.#position && this.#position !== -1 && !video.seeking
    this.#position = position
    if (video.paused) this.#paused()
    else if (moved) this.#moved(now)
    else if (this.#picture === 'playing' && now - this.#movedAt > STALL_MS) this.#stalled()

    this.protocol = this.#player.protocol
    this.detour = this.#players.detour
    if (this.#picture === 'playing' && this.#players.mayImprove(this.protocol)) void this.#improve()
    this.readings = this.#read(now)
    if (now - Math.max(this.#movedAt, this.#excusedAt) > this.#patience) {
      this.#playerFailed(bufferedAhead(video) > PLAYABLE ? 'media' : 'network', 'the picture stood still')
    }
  }

  #paused(): void {
    if (!this.blocked && this.#picture !== 'opening') this.#picture = 'paused'
  }

  #moved(now: number): void {
    this.#movedAt = now
    this.#picture = 'playing'
    this.#played = true
    this.#patience = STANDSTILL_MS
    this.frozen = false
    this.#sourceTrial.reset()
    this.#playerFailure = null
    this.#playerBackoff.reset()
  }

  #stalled(): void {
    this.#picture = 'waiting'
    // The reason may be at the broadcaster's: ask.
    this.#poll.now()
  }

  #read(now: number): Readings {
    const video = this.#video
    const quality = video.getVideoPlaybackQuality?.()
    const decoded = quality?.totalVideoFrames ?? 0
    if (decoded < this.#frames.count) this.#frames = { at: now, count: decoded, rate: null }
    if (now - this.#frames.at >= 1000) {
      const rate = ((decoded - this.#frames.count) / (now - this.#frames.at)) * 1000
      this.#frames = { at: now, count: decoded, rate: this.#frames.at === 0 ? null : rate }
    }
    const wall = this.#player?.wallClockAt(video.currentTime) ?? null
    const behind = wall !== null && this.#played ? this.#api.clock.since(wall, now) : null
    const stats = this.#player?.stats()
    return {
      latency: behind === null ? null : behind / 1000,
      buffer: stats?.buffer ?? bufferedAhead(video),
      rate: video.playbackRate,
      width: video.videoWidth,
      height: video.videoHeight,
      framesPerSecond: this.#frames.rate,
      bitrate: stats?.bitrate ?? null,
      codecs: stats?.codecs ?? null,
      roundTrip: stats?.roundTrip ?? null,
      loss: stats?.loss ?? null,
      dropped: quality?.droppedVideoFrames ?? 0,
      decoded,
    }
  }
}
