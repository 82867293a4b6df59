/** What the page asks of a way to play, whatever protocol is behind it. */

/** Which way the picture takes to the viewer. */
export type Protocol = 'WebRTC' | 'LL-HLS' | 'HLS'

/** Why a player gave up. The page decides whether to try again. */
export type PlayerFailure =
  /** The stream is not there (any more). */
  | 'gone'
  /** The network or the server failed. */
  | 'network'
  /** The browser could not decode it, though it said it could. */
  | 'media'
  /** The browser has no decoder for this codec. */
  | 'codec'
  /** The stream is there, but not over this protocol; the detail says why. */
  | 'unsuitable'
  /** The server does not speak this protocol. */
  | 'absent'
  /** The server takes no more viewers over this protocol. */
  | 'full'
  /** The server answers, but the network lets nothing else through. */
  | 'blocked'

/** Numbers for the quality panel. `null`: not known to this player. */
export interface PlayerStats {
  /** Bits per second of the stream, averaged over the last seconds. */
  bitrate: number | null
  /** Codecs as in RFC 6381. */
  codecs: string | null
  /** What waits to be played, where the element does not tell, seconds. */
  buffer: number | null
  /** From here to the server and back, seconds. */
  roundTrip: number | null
  /** The part of the packets that did not arrive, 0 to 1. */
  loss: number | null
}

/** What is known of a frame that was presented; the names are `VideoFrameCallbackMetadata`'s. */
export interface ShownFrame {
  /** The element's clock at this frame, s. */
  mediaTime: number
  /** Of the packets that it came in. */
  rtpTimestamp?: number
}

/** What a player knows of a frame's place in the broadcast. */
export interface FrameClock {
  /** Its media time, exactly, ms; null where the way it took does not tell. Over WebRTC it begins again after 13 hours. */
  mediaMs: number | null
  /** After how much `mediaMs` begins again, ms; null if never. */
  wrapMs: number | null
  /** The server's wall clock when the source had it, Unix ms. */
  wallMs: number | null
}

/**
 * Plays one live stream in one `<video>`. Made ready by its constructor, used once: after `failed` or `destroy` another
 * is made. It drives the element's source, position and rate; play, pause and sound belong to the page.
 */
export interface Player {
  readonly protocol: Protocol
  /** Changes whenever something new is seen or heard, and only then. */
  readonly position: number
  /** Connects and starts to fill the buffer. */
  start(): void
  /** Leaves the element without a source. Idempotent; no event comes after it. */
  destroy(): void
  /**
   * The wall-clock time (ms since the Unix epoch, on the server's clock) at which the broadcaster's frame of this
   * media time was taken in; null while unknown. Latency, and whatever is drawn on a frame, is computed from it.
   */
  wallClockAt(mediaTime: number): number | null
  /** Where a frame that is on the screen stands in the broadcast. */
  clockOf(frame: ShownFrame): FrameClock
  /** Jumps to the newest position that plays smoothly. */
  seekToLive(): void
  stats(): PlayerStats
}

/** What a player tells while it lives. */
export interface PlayerEvents {
  /** It has given up; `destroy` it. `retryAfter`: how long the server asks to be left alone, ms. */
  failed(reason: PlayerFailure, detail: string, retryAfter?: number | null): void
  /** The element, which was playing, got a new source: that paused it. */
  reattached(): void
}

/** Seconds of media buffered ahead of the position that is playing. */
export function bufferedAhead(video: HTMLVideoElement): number {
  const { buffered, currentTime } = video
  for (let index = 0; index < buffered.length; index += 1) {
    // A hair of tolerance: a position just before a range's start plays into it.
    if (currentTime >= buffered.start(index) - 0.1 && currentTime < buffered.end(index)) {
      return buffered.end(index) - currentTime
    }
  }
  return 0
}
