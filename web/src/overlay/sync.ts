/** The media time of the frame that is on the screen. */

import type { FrameClock, ShownFrame } from '../player/player.ts'
import type { SourceTime } from './placements.ts'

/** What ticks of 90 kHz, and element times in whole microseconds, are off by at most, ms. */
const EXACT_SLACK_MS = 0.1
/** Wall clocks are told in whole milliseconds. */
const WALL_SLACK_MS = 1

/**
 * The media time of a frame as of a broadcast that began at `beganAt` (Unix ms). @param near a media time that it is not far
 * from, ms. Null while unknown.
 */
export function sourceTime(clock: FrameClock, near: number, beganAt: number | null): SourceTime | null {
  const { mediaMs, wrapMs, wallMs } = clock
  if (mediaMs !== null) {
    const ms = wrapMs === null ? mediaMs : mediaMs + Math.round((near - mediaMs) / wrapMs) * wrapMs
    return { ms, slack: EXACT_SLACK_MS }
  }
  return wallMs === null || beganAt === null ? null : { ms: wallMs - beganAt, slack: WALL_SLACK_MS }
}

/**
 * Calls back for each frame in time to change the page along with it, until the returned function is called: what is changed in
 * `requestVideoFrameCallback` is painted together with the frame. Where there is none, the page's own frames are taken, and the
 * element's clock.
 */
export function onFrameShown(video: HTMLVideoElement, callback: (now: number, frame: ShownFrame) => void): () => void {
  let handle = 0
  if (typeof video.requestVideoFrameCallback === 'function') {
    const step: VideoFrameRequestCallback = (now, frame) => {
      handle = video.requestVideoFrameCallback(step)
      callback(now, frame)
    }
    handle = video.requestVideoFrameCallback(step)
    return () => video.cancelVideoFrameCallback(handle)
  }
  let position = -1
  const step = (now: number) => {
    handle = requestAnimationFrame(step)
    if (video.currentTime === position || video.seeking) return
    position = video.currentTime
    callback(now, { mediaTime: position })
  }
  handle = requestAnimationFrame(step)
  return () => cancelAnimationFrame(handle)
}
