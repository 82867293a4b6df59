/** Low-latency HLS through Media Source Extensions, by hls.js. */

import Hls, { ErrorDetails, ErrorTypes, Events, type ErrorData, type LevelDetails } from 'hls.js'

import { BitrateMeter } from './bitrate.ts'
import { CatchUp } from './catch-up.ts'
import { resetOnNewTimeline } from './new-timeline.ts'
import {
  bufferedAhead,
  type FrameClock,
  type Player,
  type PlayerEvents,
  type PlayerFailure,
  type PlayerStats,
  type Protocol,
  type ShownFrame,
} from './player.ts'

/** How often the distance to live is looked at, ms. */
const TICK_MS = 200
/** How long a broken buffer may take to mend before the player gives up, ms. */
const RECOVERY_MS = 3000
/** Continuous stretches that are remembered: more than there are in a buffer. */
const MAX_OFFSETS = 16

export class HlsPlayer implements Player {
  readonly #hls: Hls
  readonly #video: HTMLVideoElement
  readonly #url: string
  readonly #events: PlayerEvents
  readonly #catchUp = new CatchUp()
  readonly #bitrate = new BitrateMeter()
  #details: LevelDetails | null = null
  /** What was taken from the media's own times to make the element's, of each continuous stretch, s. */
  readonly #offsets = new Map<number, number>()
  #timer: ReturnType<typeof setInterval> | undefined
  #recoveredAt = Number.NEGATIVE_INFINITY
  #destroyed = false

  static get supported(): boolean {
    return Hls.isSupported()
  }

  constructor(video: HTMLVideoElement, url: string, events: PlayerEvents) {
    this.#video = video
    this.#url = url
    this.#events = events
    this.#hls = new Hls({
      lowLatencyMode: true,
      // Parts are fMP4 already: there is nothing to transmux, and without a worker the page needs no `worker-src blob:`.
      enableWorker: false,
      // Where to start comes from the playlist's PART-HOLD-BACK; how close to stay is decided by CatchUp, because hls.js
      // speeds up only with more than a second in the buffer, which is more than low latency ever has.
      maxLiveSyncPlaybackRate: 1,
      liveSyncOnStallIncrease: 0,
      liveDurationInfinity: true,
      backBufferLength: 8,
      maxBufferLength: 12,
      maxMaxBufferLength: 12,
      testBandwidth: false,
      capLevelToPlayerSize: true,
      // Cues are the server's and the overlays': a text track made of them would load `data:`, which the page forbids.
      enableDateRangeMetadataCues: false,
      enableEmsgMetadataCues: false,
      enableID3MetadataCues: false,
      // Retries are the page's: it knows from the API whether there is anything to retry for.
      manifestLoadPolicy: policy(6000, 0),
      playlistLoadPolicy: policy(10_000, 1),
      fragLoadPolicy: policy(8000, 2),
    })
    this.#hls.on(Events.LEVEL_UPDATED, (_event, { details }) => this.#levelUpdated(details))
    this.#hls.on(Events.BUFFER_CREATED, (_event, { tracks }) => {
      for (const track of Object.values(tracks)) if (track.buffer) resetOnNewTimeline(track.buffer)
    })
    this.#hls.on(Events.INIT_PTS_FOUND, (_event, { frag, initPTS, timescale }) => {
      this.#offsets.set(frag.cc, initPTS / timescale)
      const [oldest] = this.#offsets.keys()
      if (this.#offsets.size > MAX_OFFSETS && oldest !== undefined) this.#offsets.delete(oldest)
    })
    this.#hls.on(Events.FRAG_LOADED, (_event, { frag, part, payload }) => {
      if (frag.sn !== 'initSegment') this.#bitrate.add(part?.duration ?? frag.duration, payload.byteLength)
    })
    this.#hls.on(Events.ERROR, (_event, error) => this.#failed(error))
  }

  get protocol(): Protocol {
    return !this.#details || this.#details.partTarget ? 'LL-HLS' : 'HLS'
  }

  get position(): number {
    return this.#video.currentTime
  }

  start(): void {
    this.#hls.loadSource(this.#url)
    this.#hls.attachMedia(this.#video)
    this.#video.addEventListener('ended', this.#ended)
    this.#video.addEventListener('waiting', this.#ranDry)
    this.#video.addEventListener('pause', this.#forget)
    this.#video.addEventListener('seeking', this.#forget)
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    clearInterval(this.#timer)
    this.#video.removeEventListener('ended', this.#ended)
    this.#video.removeEventListener('waiting', this.#ranDry)
    this.#video.removeEventListener('pause', this.#forget)
    this.#video.removeEventListener('seeking', this.#forget)
    this.#video.playbackRate = 1
    this.#hls.destroy()
  }

  wallClockAt(mediaTime: number): number | null {
    const fragment = this.#fragmentAt(mediaTime)
    if (!fragment || fragment.programDateTime === null) return null
    return fragment.programDateTime + (mediaTime - fragment.start) * 1000
  }

  /** The media's own times are media time: `tfdt` is never reset. */
  clockOf({ mediaTime }: ShownFrame): FrameClock {
    const offset = this.#offsets.get(this.#fragmentAt(mediaTime)?.cc ?? -1)
    const mediaMs = offset === undefined ? null : (mediaTime + offset) * 1000
    return { mediaMs, wrapMs: null, wallMs: this.wallClockAt(mediaTime) }
  }

  seekToLive(): void {
    const position = this.#hls.liveSyncPosition
    this.#catchUp.reset()
    if (position !== null && position > this.#video.currentTime) this.#video.currentTime = position
  }

  stats(): PlayerStats {
    const level = this.#hls.levels[Math.max(0, this.#hls.currentLevel)]
    const codecs = [level?.videoCodec, level?.audioCodec].filter(Boolean).join(', ')
    return { bitrate: this.#bitrate.value, codecs: codecs || null, buffer: null, roundTrip: null, loss: null }
  }

  /** An element that has ended counts as paused, and stays so: a broadcast that returns needs a new player. */
  readonly #ended = (): void => this.#giveUp('gone', 'the playlist ended')

  readonly #forget = (): void => this.#catchUp.reset()

  readonly #ranDry = (): void => {
    if (!this.#video.seeking) this.#catchUp.stalled(performance.now())
  }

  #fragmentAt(mediaTime: number) {
    const fragments = this.#details?.fragments ?? []
    const newest = this.#details?.fragmentHint
    const all = newest ? [...fragments, newest] : fragments
    // Positions past the newest known fragment belong to it still: parts are played before the playlist is read again.
    return all.findLast((candidate) => candidate.start <= mediaTime) ?? all[0]
  }

  #levelUpdated(details: LevelDetails): void {
    const previous = this.#details
    this.#details = details
    // Numbers that start again mean another broadcast on the same address: what is buffered belongs to the old one.
    if (previous && details.endSN < previous.startSN) this.#giveUp('gone', 'the broadcast began anew')
  }

  #tick(): void {
    const video = this.#video
    if (video.paused || video.seeking || video.readyState < HTMLMediaElement.HAVE_METADATA) return
    this.#crossGap()
    const behind = (this.#hls.liveSyncPosition ?? 0) - video.currentTime
    // A suspended page comes back far behind, and with nothing of the present in its buffer.
    if (behind > (this.#details?.targetduration ?? 2) * 3) return this.seekToLive()
    if (this.protocol !== 'LL-HLS' || video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA) return
    const { rate, skip } = this.#catchUp.decide(performance.now(), bufferedAhead(video))
    if (skip > 0) video.currentTime += skip
    if (video.playbackRate !== rate) video.playbackRate = rate
  }

  /** A broadcaster that was away leaves a hole in the timeline; at its near side there is nothing to wait for. */
  #crossGap(): void {
    const { buffered, currentTime } = this.#video
    if (bufferedAhead(this.#video) > 0.1) return
    for (let index = 0; index < buffered.length; index += 1) {
      const start = buffered.start(index)
      if (start > currentTime + 0.1 && buffered.end(index) - start > 0.3) {
        this.#video.currentTime = start + 0.01
        return
      }
    }
  }

  #failed(error: ErrorData): void {
    if (!error.fatal) return
    if (error.type === ErrorTypes.MEDIA_ERROR && error.details !== ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) {
      const now = performance.now()
      if (now - this.#recoveredAt > RECOVERY_MS) {
        this.#recoveredAt = now
        const playing = !this.#video.paused
        this.#hls.recoverMediaError()
        if (playing) this.#events.reattached()
        return
      }
    }
    this.#giveUp(failureOf(error), `${error.details}${error.response ? ` (${error.response.code})` : ''}`)
  }

  #giveUp(reason: PlayerFailure, detail: string): void {
    if (!this.#destroyed) this.#events.failed(reason, detail)
  }
}

function policy(timeout: number, retries: number) {
  const retry = { maxNumRetry: retries, retryDelayMs: 300, maxRetryDelayMs: 1000 }
  return {
    default: {
      maxTimeToFirstByteMs: timeout,
      maxLoadTimeMs: timeout * 2,
      timeoutRetry: retries ? retry : null,
      errorRetry: retries ? retry : null,
    },
  }
}

function failureOf(error: ErrorData): PlayerFailure {
  if (error.details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR) return 'codec'
  if (error.details === ErrorDetails.BUFFER_ADD_CODEC_ERROR) return 'codec'
  if (error.response?.code === 404) return 'gone'
  return error.type === ErrorTypes.NETWORK_ERROR ? 'network' : 'media'
}
