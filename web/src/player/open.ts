/** Makes players: WebRTC where it goes, else LL-HLS. Their code is loaded only when there is something to play. */

import type { ServerClock } from '../lib/clock.ts'
import { Choice, type Detour } from './choice.ts'
import { forgetBlocked, rememberBlocked, wasBlocked } from './blocked.ts'
import type { Player, PlayerEvents, PlayerFailure, Protocol } from './player.ts'

/** The source has nothing drawn into it; the programme has what the server draws. */
export type Feed = 'source' | 'program'

/** The players of one channel in one element, one after another. */
export class Players {
  readonly #channel: string
  readonly #video: HTMLVideoElement
  readonly #clock: ServerClock
  readonly #audience: () => URLSearchParams
  readonly #choice = new Choice(typeof RTCPeerConnection === 'function')
  /** The page's word for the source, by which the server knows it whatever it watches; null if it has none. */
  session: string | null = null
  /** Which of the two is watched. Players that are made from now on obey. */
  feed: Feed = 'program'
  #trial: Player | null = null
  #trying = false

  /** @param clock the server's. @param audience what is said of the viewer now: which variant of the programme is theirs. */
  constructor(channel: string, video: HTMLVideoElement, clock: ServerClock, audience: () => URLSearchParams) {
    this.#channel = encodeURIComponent(channel)
    this.#video = video
    this.#clock = clock
    this.#audience = audience
    if (wasBlocked()) this.#choice.failed('blocked', 'it was a moment ago', performance.now())
  }

  /** Why it is not WebRTC; null while there is no reason against it. */
  get detour(): Detour | null {
    return this.#choice.detour
  }

  /** The server told that it has no WebRTC. */
  withoutWebRtc(): void {
    if (!this.#choice.detour) this.#choice.failed('absent', 'the server has none', performance.now())
  }

  /** The best player for now; null if this browser has none. */
  async open(events: PlayerEvents): Promise<Player | null> {
    if (this.#choice.wantsWebRtc(performance.now())) {
      const player = await this.#webRtc(events)
      void player.connect().then((came) => came && this.#arrived())
      return player
    }
    const session = this.feed === 'source' ? this.session : null
    const url = `/hls/${this.#channel}/index.m3u8?${session === null ? this.#audience() : new URLSearchParams({ session })}`
    const { HlsPlayer } = await import('./hls.ts')
    if (HlsPlayer.supported) return new HlsPlayer(this.#video, url, events)
    const { NativePlayer } = await import('./native.ts')
    return NativePlayer.supportedBy(this.#video) ? new NativePlayer(this.#video, url, events) : null
  }

  /** Whether `better` is worth asking while this plays. */
  mayImprove(on: Protocol): boolean {
    return on !== 'WebRTC' && !this.#trying && this.#choice.wantsWebRtc(performance.now())
  }

  /** Connects over WebRTC beside what plays: a player that only has to be started, or null if it did not work. */
  async better(events: PlayerEvents): Promise<Player | null> {
    this.#trying = true
    try {
      return await this.#try(events)
    } finally {
      this.#trying = false
      this.#trial = null
    }
  }

  /** Gives up a trial that is under way. */
  stop(): void {
    this.#trial?.destroy()
    this.#trial = null
  }

  /** A player failed: whether another way may be taken at once. @param protocol null if there was none yet. */
  failed(protocol: Protocol | null, reason: PlayerFailure, detail: string, retryAfter: number | null = null): boolean {
    if (protocol !== 'WebRTC') return false
    this.#choice.failed(reason, detail, performance.now(), retryAfter)
    if (reason === 'blocked') rememberBlocked()
    return this.#choice.detour !== null
  }

  broadcastBegan(): void {
    this.#choice.broadcastBegan()
  }

  networkChanged(): void {
    forgetBlocked()
    this.#choice.networkChanged()
  }

  async #try(events: PlayerEvents): Promise<Player | null> {
    let handedOver = false
    const player = await this.#webRtc({
      reattached: () => events.reattached(),
      failed: (reason, detail, retryAfter) => {
        if (handedOver) events.failed(reason, detail, retryAfter)
        else this.failed('WebRTC', reason, detail, retryAfter)
      },
    })
    this.#trial = player
    handedOver = await player.connect()
    if (handedOver) this.#arrived()
    else player.destroy()
    return handedOver ? player : null
  }

  #arrived(): void {
    forgetBlocked()
    this.#choice.arrived(performance.now())
  }

  async #webRtc(events: PlayerEvents) {
    const query = this.feed === 'program' ? this.#audience() : new URLSearchParams()
    if (this.session !== null) {
      // Also of the programme it is told whose it is: what the page has counted is not counted again.
      query.set('session', this.session)
      query.set('feed', this.feed)
    }
    const url = `/whep/${this.#channel}?${query}`
    const { WhepPlayer } = await import('./whep.ts')
    return new WhepPlayer(this.#video, url, this.#clock, events)
  }
}
